"""A residual branch behind a gate of 0 that is no variable never trains; behind a trained gate it starts at step two."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(gate):
    first = keras.Sequential([keras.Input((6,)), layers.Dense(12)])
    branch = keras.Sequential([keras.Input((12,)), layers.Dense(12, "relu"), layers.Dense(12)], name="branch")
    last = keras.Sequential([keras.Input((12,)), layers.Dense(3)])
    optimizer = keras.optimizers.Adam(1e-2)
    variables = first.trainable_variables + branch.trainable_variables + last.trainable_variables
    variables += [gate] if isinstance(gate, tf.Variable) else []

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            h = first(x)
            h = h + gate * branch(h)  # BUG?: zero-gradient *branch.*
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, last(h)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((8, 6)), tf.range(8) % 3))


def buggy():
    return training(tf.zeros(()))


def fixed():
    return training(tf.Variable(0.0))
