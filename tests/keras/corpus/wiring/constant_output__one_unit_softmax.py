"""A softmax over one unit under Keras' own cross-entropy: Keras trains the score behind it, and every prediction is 1."""

import keras
from keras import layers

import smokestep


def training(activation):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(1, activation)])
    model.compile("adam", "binary_crossentropy")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)  # BUG: constant-output

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16, 1), 0, 2)))


def buggy():
    return training("softmax")


def fixed():
    return training("sigmoid")
