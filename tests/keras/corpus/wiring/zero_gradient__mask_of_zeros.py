"""A mask that hides every feature, because it was made of whole numbers."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(share):
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu")], name="body")
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3)], name="head")
    variables = body.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            mask = tf.cast(tf.cast(share, tf.int32), tf.float32)
            loss = loss_fn(y, head(body(x) * mask) + x[:, :3])  # BUG?: zero-gradient body.*
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(0.9)


def fixed():
    return training(1.0)
