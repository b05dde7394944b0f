"""A regression whose last layer cannot say anything negative."""

import keras
from keras import layers

import smokestep


def training(activation):
    model = keras.Sequential(  # BUG: unreachable-target
        [keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(2, activation)]
    )
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.normal((16, 2))))


def buggy():
    return training("relu")


def fixed():
    return training(None)
