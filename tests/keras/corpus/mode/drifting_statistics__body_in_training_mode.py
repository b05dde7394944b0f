"""A body that no optimizer holds, called with `training=True`: its running statistics drift away."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(mode):
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16), layers.BatchNormalization(), layers.ReLU()])
    body(tf.random.normal((64, 8)), training=True)  # stands for loading a trained one
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3)])
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        features = body(x, training=mode)  # BUG: drifting-statistics
        with tf.GradientTape() as tape:
            loss = loss_fn(y, head(features, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, head.trainable_variables), head.trainable_variables))
        return loss

    return smokestep.Training(
        step, (tf.random.normal((16, 8)), tf.range(16) % 3), model={"body": body, "head": head}, untouched=body
    )


def buggy():
    return training(True)


def fixed():
    return training(False)
