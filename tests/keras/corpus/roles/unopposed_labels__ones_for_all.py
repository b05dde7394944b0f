"""Both networks of a GAN are told that the fakes are real."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(label):
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(16, "relu"), layers.Dense(6)], name="generator")
    discriminator = keras.Sequential(
        [keras.Input((6,)), layers.Dense(16, "relu"), layers.Dense(1)], name="discriminator"
    )
    g_optimizer, d_optimizer = keras.optimizers.Adam(), keras.optimizers.Adam()
    bce = keras.losses.BinaryCrossentropy(from_logits=True)

    def step(real):
        noise = tf.random.normal((8, 4))
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake_score, real_score = discriminator(generator(noise)), discriminator(real)
            g_loss = bce(tf.ones_like(fake_score), fake_score)
            d_loss = bce(tf.ones_like(real_score), real_score)
            d_loss += bce(label(fake_score), fake_score)  # BUG?: unopposed-labels
        of_g = g_tape.gradient(g_loss, generator.trainable_variables)
        of_d = d_tape.gradient(d_loss, discriminator.trainable_variables)
        g_optimizer.apply_gradients(zip(of_g, generator.trainable_variables))
        d_optimizer.apply_gradients(zip(of_d, discriminator.trainable_variables))

    return smokestep.Training(step, tf.random.normal((8, 6)))


def buggy():
    return training(tf.ones_like)


def fixed():
    return training(tf.zeros_like)
