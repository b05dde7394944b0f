"""Weights kept in bfloat16 stand still under small updates: every gradient is there, and rounding loses each step."""

import keras
from keras import layers

import smokestep


def training(dtype):
    start = keras.initializers.RandomUniform(0.1, 0.5)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "tanh", kernel_initializer=start, bias_initializer=start, dtype=dtype, name="first"),
            layers.Dense(1, kernel_initializer=start, bias_initializer=start, dtype=dtype, name="last"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-5), "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)  # BUG: lost-update *first.*, *last.*

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.normal((16, 1))))


def buggy():
    return training("bfloat16")


def fixed():
    return training("mixed_bfloat16")
