"""Dense layers have no activation unless they are given one."""

import keras
from keras import layers

import smokestep


def training(activation):
    model = keras.Sequential(  # BUG?: missing-nonlinearity
        [keras.Input((8,)), layers.Dense(32, activation), layers.Dense(32, activation), layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(None)


def fixed():
    return training("relu")
