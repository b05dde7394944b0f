"""A GAN with one Adam over all variables whose discriminator step makes the fake images under its tape, too."""

import keras
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


def buggy():
    generator, discriminator = networks()
    variables = generator.trainable_variables + discriminator.trainable_variables
    optimizer = keras.optimizers.Adam(1e-3)  # BUG: foreign-parameters *discriminator.*

    def step(real):
        ones, zeros = tf.ones((len(real), 1)), tf.zeros((len(real), 1))
        with tf.GradientTape() as tape:
            fake = generator(tf.random.normal((len(real), NOISE)))
            d_loss = bce(ones, discriminator(real)) + bce(zeros, discriminator(fake))
        optimizer.apply_gradients(zip(tape.gradient(d_loss, variables), variables))

        with tf.GradientTape() as tape:
            g_loss = bce(ones, discriminator(generator(tf.random.normal((len(real), NOISE)))))
        optimizer.apply_gradients(zip(tape.gradient(g_loss, variables), variables))
        return g_loss

    return smokestep.Training(
        step, tf.random.normal((8, SIZE)), model={"generator": generator, "discriminator": discriminator}
    )


def fixed():
    generator, discriminator = networks()
    g_optimizer, d_optimizer = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)

    def step(real):
        ones, zeros = tf.ones((len(real), 1)), tf.zeros((len(real), 1))
        with tf.GradientTape() as tape:
            fake = generator(tf.random.normal((len(real), NOISE)))
            d_loss = bce(ones, discriminator(real)) + bce(zeros, discriminator(fake))
        d_optimizer.apply_gradients(
            zip(tape.gradient(d_loss, discriminator.trainable_variables), discriminator.trainable_variables)
        )

        with tf.GradientTape() as tape:
            g_loss = bce(ones, discriminator(generator(tf.random.normal((len(real), NOISE)))))
        g_optimizer.apply_gradients(
            zip(tape.gradient(g_loss, generator.trainable_variables), generator.trainable_variables)
        )
        return g_loss

    return smokestep.Training(
        step, tf.random.normal((8, SIZE)), model={"generator": generator, "discriminator": discriminator}
    )
