"""`compile` for every batch: each time with a new optimizer."""

import keras
from keras import layers

import smokestep


def buggy():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3)])

    def step(batch):
        x, y = batch
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))  # BUG: recreated-optimizer
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def fixed():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))
