"""A residual branch behind a gate of 0 that is no weight never trains; behind a trained gate it starts at step two."""

import keras
from keras import layers

import smokestep


class Block(layers.Layer):
    def __init__(self, width, trained):
        super().__init__(name="block")
        self.fc1 = layers.Dense(width, "relu", name="fc1")
        self.fc2 = layers.Dense(width, name="fc2")
        self.gate = self.add_weight(shape=(), initializer="zeros") if trained else 0.0

    def call(self, x):
        h = self.fc2(self.fc1(x))
        return x + self.gate * h  # BUG?: zero-gradient *fc1.*, *fc2.*


def training(trained):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(12), Block(12, trained), layers.Dense(3)])
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 6)), keras.random.randint((8,), 0, 3)))


def buggy():
    return training(False)


def fixed():
    return training(True)
