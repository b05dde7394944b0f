"""A GAN as one model whose `train_step` takes both gradients over all of its variables, for its one optimizer."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import smokestep

NOISE, SIZE = 4, 6


def networks():
    generator = keras.Sequential(
        [keras.Input((NOISE,)), layers.Dense(16, "tanh"), layers.Dense(SIZE)], name="generator"
    )
    discriminator = keras.Sequential(
        [keras.Input((SIZE,)), layers.Dense(16, "tanh"), layers.Dense(1)], name="discriminator"
    )
    return generator, discriminator


bce = keras.losses.BinaryCrossentropy(from_logits=True)


class Gan(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = networks()


class OneAdam(Gan):
    def train_step(self, real):
        noise = tf.random.normal((8, NOISE))
        with tf.GradientTape() as tape:
            d_loss = bce(tf.ones((8, 1)), self.discriminator(real))
            d_loss += bce(tf.zeros((8, 1)), self.discriminator(self.generator(noise)))
        self.optimizer.apply(tape.gradient(d_loss, self.trainable_variables), self.trainable_variables)
        with tf.GradientTape() as tape:
            g_loss = bce(tf.ones((8, 1)), self.discriminator(self.generator(noise)))
        gradients = tape.gradient(g_loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"g_loss": g_loss}


class TwoAdams(Gan):
    def __init__(self):
        super().__init__()
        self.g_optimizer, self.d_optimizer = keras.optimizers.Adam(2e-4), keras.optimizers.Adam(2e-4)

    def train_step(self, real):
        noise = tf.random.normal((8, NOISE))
        with tf.GradientTape() as tape:
            d_loss = bce(tf.ones((8, 1)), self.discriminator(real))
            d_loss += bce(tf.zeros((8, 1)), self.discriminator(self.generator(noise)))
        variables = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(d_loss, variables), variables)
        with tf.GradientTape() as tape:
            g_loss = bce(tf.ones((8, 1)), self.discriminator(self.generator(noise)))
        variables = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(g_loss, variables), variables)
        return {"g_loss": g_loss}


def buggy():
    gan = OneAdam()
    gan.compile(keras.optimizers.Adam(2e-4))  # BUG: foreign-parameters *discriminator.*
    real = np.random.randn(8, SIZE).astype("float32")
    step = lambda: gan.fit(real, batch_size=8, verbose=0)
    return smokestep.Training(step, model={"generator": gan.generator, "discriminator": gan.discriminator})


def fixed():
    gan = TwoAdams()
    gan.compile()
    real = np.random.randn(8, SIZE).astype("float32")
    step = lambda: gan.fit(real, batch_size=8, verbose=0)
    return smokestep.Training(step, model={"generator": gan.generator, "discriminator": gan.discriminator})
