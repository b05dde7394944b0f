"""Labels of -1 and 1 under binary cross-entropy."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(labels):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(1)])
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))  # BUG: invalid-target

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), labels(tf.range(16)[:, None] % 2)))


def buggy():
    return training(lambda y: tf.cast(2 * y - 1, "float32"))


def fixed():
    return training(lambda y: tf.cast(y, "float32"))
