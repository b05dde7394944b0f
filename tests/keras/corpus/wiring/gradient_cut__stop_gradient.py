"""`tf.stop_gradient` on the way from the body to the head."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(between):
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu")], name="body")
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3)], name="head")
    variables = body.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            features = between(body(x))  # BUG: gradient-cut body.*
            loss = loss_fn(y, head(features))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(tf.stop_gradient)


def fixed():
    return training(tf.identity)
