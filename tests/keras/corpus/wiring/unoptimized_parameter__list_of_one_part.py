"""The list of variables was written for the head, and the body was added later."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(pick):
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu")], name="body")
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3)], name="head")
    variables = pick(body, head)
    optimizer = keras.optimizers.Adam()  # BUG: unoptimized-parameter body.*
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, head(body(x)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    models = {"body": body, "head": head}
    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3), model=models, trains=[body, head])


def buggy():
    return training(lambda body, head: head.trainable_variables)


def fixed():
    return training(lambda body, head: body.trainable_variables + head.trainable_variables)
