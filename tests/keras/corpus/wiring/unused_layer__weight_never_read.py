"""A bias that is added as a weight and never read."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Linear(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 16), name="kernel")
        self.bias = self.add_weight(shape=(16,), initializer="zeros", name="bias")  # BUG: unused-layer *linear.bias

    def call(self, x):
        return tf.matmul(x, self.kernel)


class Biased(Linear):
    def call(self, x):
        return tf.matmul(x, self.kernel) + self.bias


def training(layer):
    parts = [layer(name="linear"), layers.ReLU(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((8,)), *parts])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(Linear)


def fixed():
    return training(Biased)
