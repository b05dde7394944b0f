"""Class numbers of shape (N, 1) under the squared error of three probabilities: each is compared with the number."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(targets):
    model = keras.Sequential(  # BUG: unreachable-target
        [keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3, "softmax")]
    )
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), targets(tf.range(16) % 3)))


def buggy():
    return training(lambda y: y[:, None])


def fixed():
    return training(lambda y: tf.one_hot(y, 3))
