"""Dropout in a loop of one's own that calls the model without `training=True`, inside `tf.function`."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(forward):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dropout(0.5), layers.Dense(3)])
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, forward(model, x))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(lambda model, x: model(x))  # BUG?: trained-in-eval


def fixed():
    return training(lambda model, x: model(x, training=True))
