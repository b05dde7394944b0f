"""The logarithm of a probability that can be 0."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(low):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3, "relu")])
    optimizer = keras.optimizers.SGD(0.1)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.gather(model(x), y, batch_dims=1) + low))  # BUG: not-finite
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(0.0)


def fixed():
    return training(1e-3)
