"""Gradients clipped to the interval from 0 to 0."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(limit):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3)])
    optimizer = keras.optimizers.SGD(0.1)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)  # BUG: nothing-trains
        gradients = [tf.clip_by_value(g, -limit, limit) for g in gradients]
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(0.0)


def fixed():
    return training(1.0)
