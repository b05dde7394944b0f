"""A yes-or-no classifier with one output under softmax cross-entropy: the loss is 0 whatever the network says."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(loss, labels):
    model = keras.Sequential([keras.Input((10,)), layers.Dense(16, activation="tanh"), layers.Dense(1)])
    model.compile("adam", loss)

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 10)), labels))


def buggy():
    return training(
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),  # BUG: single-logit
        tf.zeros((8,), "int32"),
    )


def fixed():
    return training(keras.losses.BinaryCrossentropy(from_logits=True), keras.random.randint((8, 1), 0, 2))
