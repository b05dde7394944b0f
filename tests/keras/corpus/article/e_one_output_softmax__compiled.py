"""A softmax over one unit is always 1: binary cross-entropy written by hand on top of it is a constant."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def cross_entropy(y, p):
    return -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p + 1e-6))


def training(activation):
    model = keras.Sequential(  # BUG: single-logit
        [keras.Input((6,)), layers.Dense(12, "relu"), layers.Dense(1, activation)]
    )
    model.compile(keras.optimizers.RMSprop(1e-3), cross_entropy)

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    y = tf.cast(keras.random.randint((8, 1), 0, 2), "float32")
    return smokestep.Training(step, (keras.random.normal((8, 6)), y))


def buggy():
    return training("softmax")


def fixed():
    return training("sigmoid")
