"""A quantising layer in a compiled model, without a straight-through gradient."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Quantise(layers.Layer):
    def call(self, x):
        return tf.round(8 * x) / 8  # BUG: gradient-cut *first.*


class StraightThrough(layers.Layer):
    def call(self, x):
        return x + tf.stop_gradient(tf.round(8 * x) / 8 - x)


def training(quantise):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, name="first"), quantise(), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(Quantise)


def fixed():
    return training(StraightThrough)
