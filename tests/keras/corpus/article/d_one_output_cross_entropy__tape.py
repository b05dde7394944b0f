"""A yes-or-no classifier with one output under softmax cross-entropy: the loss is 0 whatever the network says."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def classifier():
    return keras.Sequential([keras.Input((10,)), layers.Dense(16, activation="tanh"), layers.Dense(1)])


def buggy():
    model = classifier()
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            losses = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=model(x))  # BUG: single-logit
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((8, 10)), tf.ones((8, 1))))


def fixed():
    model = classifier()
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=model(x))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    y = tf.cast(tf.random.uniform((8, 1)) > 0.5, "float32")
    return smokestep.Training(step, (tf.random.normal((8, 10)), y))
