"""Features taken to NumPy to be standardised, under an open tape."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def buggy():
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu")], name="body")
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3)], name="head")
    variables = body.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            features = body(x).numpy()  # BUG: gradient-cut body.*
            features = (features - features.mean(0)) / (features.std(0) + 1e-6)
            loss = loss_fn(y, head(features))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def fixed():
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu")], name="body")
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3)], name="head")
    variables = body.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            features = body(x)
            mean, variance = tf.nn.moments(features, axes=[0])
            features = (features - mean) / (tf.sqrt(variance) + 1e-6)
            loss = loss_fn(y, head(features))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))
