"""`keras.random` with a whole number for its seed draws the same numbers every time."""

import keras
from keras import layers

import smokestep


def training(seed):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        noise = keras.random.normal(x.shape, seed=seed)  # BUG?: repeated-randomness
        return model.train_on_batch(x + 0.1 * noise, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(7)


def fixed():
    return training(keras.random.SeedGenerator(7))
