"""The second term of the loss was made a number on the way."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(term):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(1)])
    optimizer = keras.optimizers.Adam()
    squared, absolute = keras.losses.MeanSquaredError(), keras.losses.MeanAbsoluteError()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            output = model(x, training=True)
            loss = squared(y, output) + term(absolute(y, output))  # BUG?: detached-loss
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.random.normal((16, 1))))


def buggy():
    return training(float)


def fixed():
    return training(tf.identity)
