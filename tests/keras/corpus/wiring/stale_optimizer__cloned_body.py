"""The variables are those of the body that was cloned, and the clone is what runs."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def buggy():
    original = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu")], name="body")
    body = keras.models.clone_model(original)
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3)], name="head")
    variables = original.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.Adam()  # BUG: stale-optimizer body.*
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, head(body(x)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3), model={"body": body, "head": head})


def fixed():
    original = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu")], name="body")
    body = keras.models.clone_model(original)
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3)], name="head")
    variables = body.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.Adam()
    optimizer.build(variables)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, head(body(x)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3), model={"body": body, "head": head})
