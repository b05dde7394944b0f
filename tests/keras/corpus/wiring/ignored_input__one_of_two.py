"""A model of two inputs that reads the first one twice."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.left, self.right = layers.Dense(8, "relu"), layers.Dense(8, "relu")
        self.out = layers.Dense(1)

    def call(self, inputs):  # BUG?: ignored-input
        a, b = inputs
        return self.out(tf.concat([self.left(a), self.right(a)], axis=1))


class Both(Net):
    def call(self, inputs):
        a, b = inputs
        return self.out(tf.concat([self.left(a), self.right(b)], axis=1))


def training(kind):
    model = kind()
    model.compile("adam", "mse")

    def step(batch):
        pair, y = batch
        return model.train_on_batch(pair, y)

    pair = (keras.random.normal((16, 4)), keras.random.normal((16, 4)))
    return smokestep.Training(step, (pair, keras.random.normal((16, 1))))


def buggy():
    return training(Net)


def fixed():
    return training(Both)
