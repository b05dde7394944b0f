"""A layer made in `call`: it is another one each time, with other random weights, and nothing trains it."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(16, activation="relu")
        self.out = layers.Dense(3)

    def call(self, x):
        x = self.hidden(x)
        x = layers.Dense(16, activation="relu")(x)  # BUG: unregistered-parameter
        return self.out(x)


class Kept(Net):
    def __init__(self):
        super().__init__()
        self.middle = layers.Dense(16, activation="relu")

    def call(self, x):
        return self.out(self.middle(self.hidden(x)))


def training(kind):
    model = kind()
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(Net)


def fixed():
    return training(Kept)
