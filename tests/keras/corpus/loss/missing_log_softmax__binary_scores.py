"""`binary_crossentropy` by its name on a plain score: what lies outside 0 and 1 is cut off."""

import keras
from keras import layers

import smokestep


def training(activation):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(1, activation)])
    model.compile("adam", "binary_crossentropy")  # BUG: missing-log-softmax

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16, 1), 0, 2)))


def buggy():
    return training(None)


def fixed():
    return training("sigmoid")
