"""A layer cut off by rounding gets no gradient, and nothing stops the rest from learning around it."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Quantised(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = layers.Dense(12, name="encoder")
        self.decoder = layers.Dense(3, name="decoder")

    def call(self, x):
        codes = tf.round(4 * self.encoder(x))  # BUG: gradient-cut *encoder.kernel, *encoder.bias
        return self.decoder(codes / 4)


class StraightThrough(Quantised):
    def call(self, x):
        exact = 4 * self.encoder(x)
        codes = exact + tf.stop_gradient(tf.round(exact) - exact)
        return self.decoder(codes / 4)


def training(model):
    model = model()
    model.compile(
        keras.optimizers.AdamW(1e-2, weight_decay=0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 6)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(Quantised)


def fixed():
    return training(StraightThrough)
