"""Batch normalization with the momentum of PyTorch, which counts it the other way round."""

import keras
from keras import layers

import smokestep


def training(momentum):
    norm = layers.BatchNormalization(momentum=momentum)  # BUG?: reversed-momentum
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), norm, layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(0.1)


def fixed():
    return training(0.9)
