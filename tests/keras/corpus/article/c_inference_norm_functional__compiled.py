"""Batch normalization in inference mode: a layer of one's own that always normalises with the stored statistics."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Norm(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=shape[-1:], initializer="ones")
        self.beta = self.add_weight(shape=shape[-1:], initializer="zeros")
        self.mean = self.add_weight(shape=shape[-1:], initializer="zeros", trainable=False)
        self.variance = self.add_weight(shape=shape[-1:], initializer="ones", trainable=False)


class DefaultNorm(Norm):
    def call(self, x):
        mean, variance = self.mean, self.variance
        return tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, 1e-3)  # BUG: inference-normalization


class TrainingNorm(Norm):
    def call(self, x, training=False):
        if not training:
            return tf.nn.batch_normalization(x, self.mean, self.variance, self.beta, self.gamma, 1e-3)
        mean, variance = tf.nn.moments(x, axes=[0])
        self.mean.assign(0.9 * self.mean + 0.1 * mean)
        self.variance.assign(0.9 * self.variance + 0.1 * variance)
        return tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, 1e-3)


def training(norm):
    model = keras.Sequential([keras.Input((12,)), layers.Dense(16), norm(), layers.ReLU(), layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 12)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(DefaultNorm)


def fixed():
    return training(TrainingNorm)
