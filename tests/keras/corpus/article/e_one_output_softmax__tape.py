"""A softmax over one unit is always 1: binary cross-entropy written by hand on top of it is a constant."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(head):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(12, "relu"), layers.Dense(1, head)])  # BUG: single-logit
    optimizer = keras.optimizers.RMSprop(1e-3)
    x, y = tf.random.normal((8, 6)), tf.cast(tf.random.uniform((8, 1)) > 0.5, "float32")

    def step():
        with tf.GradientTape() as tape:
            p = model(x)
            loss = -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p + 1e-6))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    return smokestep.Training(step)


def buggy():
    return training(tf.nn.softmax)


def fixed():
    return training(tf.nn.sigmoid)
