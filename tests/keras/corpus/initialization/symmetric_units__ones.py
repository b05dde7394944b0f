"""Kernels that begin as ones: every unit of a layer stays like the next one."""

import keras
from keras import layers

import smokestep


def training(start):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "sigmoid", kernel_initializer=start),  # BUG: symmetric-units
            layers.Dense(3, kernel_initializer=start),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training("ones")


def fixed():
    return training("glorot_uniform")
