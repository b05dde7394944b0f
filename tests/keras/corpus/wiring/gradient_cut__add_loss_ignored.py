"""A layer hands its codebook's loss to `add_loss`, and the loop never adds `model.losses`."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Codes(layers.Layer):
    def build(self, shape):
        self.codes = self.add_weight(shape=(10, shape[-1]), initializer="random_normal", name="codes")

    def call(self, z):
        distances = tf.reduce_sum(tf.square(z[:, None] - self.codes[None]), axis=2)
        q = tf.gather(self.codes, tf.argmin(distances, axis=1))
        codebook = tf.reduce_mean(tf.square(q - tf.stop_gradient(z)))
        self.add_loss(codebook)
        return z + tf.stop_gradient(q - z)  # BUG: gradient-cut *codes


def training(others):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4), Codes(), layers.Dense(8)])
    optimizer = keras.optimizers.Adam()

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - x)) + others(model)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, tf.random.normal((16, 8)))


def buggy():
    return training(lambda model: 0.0)


def fixed():
    return training(lambda model: tf.add_n(model.losses))
