"""The facts that every backend must get right, held against the TensorFlow one."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers

import smokestep
from smokestep import testing
from smokestep.backends import tensorflow as backend


class Unused(keras.Model):
    """A model with a weight that no operation reads."""

    def __init__(self):
        super().__init__()
        self.unused = self.add_weight(shape=(3,), name="unused")
        self.out = layers.Dense(2)

    def call(self, inputs):
        return self.out(inputs)


class Built(keras.Model):
    """A model that is built when it first runs."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(2)

    def call(self, inputs):
        return self.out(inputs)


def _training(model):
    optimizer = keras.optimizers.SGD(0.1)
    optimizer_loss = keras.losses.MeanSquaredError()

    def step(batch):
        inputs, targets = batch
        with tf.GradientTape() as tape:
            loss = optimizer_loss(targets, model(inputs, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        pairs = [(g, v) for g, v in zip(gradients, model.trainable_variables, strict=True) if g is not None]
        optimizer.apply_gradients(pairs)
        return loss

    return smokestep.Training(step, (tf.random.normal((4, 3)), tf.random.normal((4, 2))))


def plain():
    return _training(keras.Sequential([layers.Input((3,)), layers.Dense(5, activation="tanh"), layers.Dense(2)]))


def unused():
    return _training(Unused())


def test_the_backend_conforms():
    assert testing.conformance(backend, plain, unused) == ()


def test_a_living_model_that_was_never_built_is_unbuilt_again():
    model, optimizer = Built(), keras.optimizers.Adam()
    model.compile(optimizer, "mse")
    batch = (tf.random.normal((4, 3)), tf.random.normal((4, 2)))
    smokestep.examine(smokestep.Training(lambda pair: model.train_on_batch(*pair), batch))
    assert not optimizer.built
    assert not model.out.built
    first = model.train_on_batch(*batch)
    assert optimizer.built
    assert float(first) > 0
