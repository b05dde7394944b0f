"""The name of a loss stands for the one that wants probabilities, and the model ends in plain scores."""

import keras
from keras import layers

import smokestep


def training(activation):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3, activation)])
    model.compile("adam", "sparse_categorical_crossentropy")  # BUG: missing-log-softmax

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(None)


def fixed():
    return training("softmax")
