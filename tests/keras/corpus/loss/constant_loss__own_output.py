"""The model is given its own output as the target: the loss is zero, and the labels are never read."""

import keras
from keras import layers

import smokestep


def buggy():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(8)])
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        output = model(x)
        return model.train_on_batch(x, output)  # BUG?: constant-loss

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.normal((16, 8))))


def fixed():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(8)])
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.normal((16, 8))))
