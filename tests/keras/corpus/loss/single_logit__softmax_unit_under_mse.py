"""One unit with a softmax, and the squared error of its constant 1."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(activation):
    parts = [keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(1, activation)]
    model = keras.Sequential(parts)  # BUG: single-logit
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(
        step, (keras.random.normal((16, 8)), tf.cast(keras.random.randint((16, 1), 0, 2), "float32"))
    )


def buggy():
    return training("softmax")


def fixed():
    return training("sigmoid")
