"""Noise added in `call` whether the model trains or not."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Noise(layers.Layer):
    def call(self, x):
        return x + 0.1 * tf.random.normal(tf.shape(x))  # BUG?: random-evaluation


class TrainingNoise(layers.Layer):
    def call(self, x, training=False):
        return x + 0.1 * tf.random.normal(tf.shape(x)) if training else x


def training(noise):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), noise(), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(Noise)


def fixed():
    return training(TrainingNoise)
