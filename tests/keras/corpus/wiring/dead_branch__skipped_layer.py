"""A second layer that is computed and then not used: the third reads the first again."""

import keras
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(16, activation="relu", name="first")
        self.second = layers.Dense(16, activation="relu", name="second")
        self.third = layers.Dense(3, name="third")

    def call(self, x):
        h = self.first(x)
        g = self.second(h)  # BUG: dead-branch *second.*
        return self.third(h)


class Chained(Net):
    def call(self, x):
        return self.third(self.second(self.first(x)))


def training(kind):
    model = kind()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(Net)


def fixed():
    return training(Chained)
