"""Targets of shape (N,) against predictions of shape (N, 1), in a loss written by hand."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(shape):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(1)])
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(y - model(x)))  # BUG: broadcast-loss
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.random.normal(shape)))


def buggy():
    return training((16,))


def fixed():
    return training((16, 1))
