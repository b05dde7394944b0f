"""Momentum 1 keeps the running statistics as they are for ever."""

import keras
from keras import layers

import smokestep


def training(momentum):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "relu"),
            layers.BatchNormalization(momentum=momentum),  # BUG: frozen-statistics
            layers.Dense(3),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(1.0)


def fixed():
    return training(0.9)
