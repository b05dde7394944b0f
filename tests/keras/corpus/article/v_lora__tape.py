"""LoRA with both factors zero never trains, while the head does; with one of them random, that one moves only from the second step on."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class LoraDense(layers.Layer):
    def __init__(self, units, rank, start):
        super().__init__(name="lora")
        self.base = layers.Dense(units)
        self.base.trainable = False
        self.rank, self.start = rank, start

    def build(self, shape):
        self.base.build(shape)
        self.a = self.add_weight(shape=(shape[-1], self.rank), initializer=self.start, name="a")
        self.b = self.add_weight(shape=(self.rank, self.base.units), initializer="zeros", name="b")

    def call(self, x):
        return self.base(x) + x @ self.a @ self.b  # BUG: zero-product *lora.a, *lora.b


def training(start):
    model = keras.Sequential([keras.Input((8,)), LoraDense(16, 2, start), layers.Activation("tanh"), layers.Dense(3)])
    optimizer = keras.optimizers.Adam(1e-2)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training("zeros")


def fixed():
    return training("random_normal")
