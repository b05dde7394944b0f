"""A learning rate of 0."""

import keras
from keras import layers

import smokestep


def training(rate):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3)])
    optimizer = keras.optimizers.SGD(rate)  # BUG: zero-learning-rate
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(0.0)


def fixed():
    return training(0.1)
