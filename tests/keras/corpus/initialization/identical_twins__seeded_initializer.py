"""One initializer with a seed for every head: all heads are the same."""

import keras
from keras import layers

import smokestep


def training(start):
    inputs = keras.Input((8,))
    hidden = layers.Dense(16, "relu")(inputs)
    heads = [layers.Dense(1, kernel_initializer=start)(hidden) for _ in range(3)]  # BUG?: identical-twins
    model = keras.Model(inputs, heads)
    model.compile("adam", ["mse", "mse", "mse"])

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, [y, y, y])

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.normal((16, 1))))


def buggy():
    return training(keras.initializers.HeNormal(seed=1))


def fixed():
    return training("he_normal")
