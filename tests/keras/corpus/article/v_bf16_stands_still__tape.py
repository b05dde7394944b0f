"""Weights kept in bfloat16 stand still under small updates: every gradient is there, and rounding loses each step."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(dtype):
    start = keras.initializers.RandomUniform(0.1, 0.5)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "tanh", kernel_initializer=start, bias_initializer=start, dtype=dtype, name="first"),
            layers.Dense(1, kernel_initializer=start, bias_initializer=start, dtype=dtype, name="last"),
        ]
    )
    optimizer = keras.optimizers.Adam(1e-5)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(y - tf.cast(model(x), "float32")))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))  # BUG: lost-update *first.*, *last.*
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.random.normal((16, 1))))


def buggy():
    return training("bfloat16")


def fixed():
    return training("mixed_bfloat16")
