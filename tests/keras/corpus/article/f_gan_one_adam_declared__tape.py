"""The GAN with one Adam over all variables, as two steps whose roles are declared."""

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


def training(share_optimizer):
    generator, discriminator = networks()
    everything = generator.trainable_variables + discriminator.trainable_variables
    g_variables = everything if share_optimizer else generator.trainable_variables
    g_optimizer = keras.optimizers.Adam(2e-4)
    d_optimizer = g_optimizer if share_optimizer else keras.optimizers.Adam(2e-4)
    g_optimizer.build(g_variables)
    real = tf.random.normal((8, SIZE))
    labels = tf.concat([tf.ones((8, 1)), tf.zeros((8, 1))], axis=0)

    def discriminator_step():
        fake = generator(tf.random.normal((8, NOISE)))
        with tf.GradientTape() as tape:
            loss = bce(labels, discriminator(tf.concat([real, fake], axis=0)))
        variables = discriminator.trainable_variables
        d_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    def generator_step():
        with tf.GradientTape() as tape:
            loss = bce(tf.ones((8, 1)), discriminator(generator(tf.random.normal((8, NOISE)))))
        gradients = tape.gradient(loss, g_variables)
        g_optimizer.apply_gradients(zip(gradients, g_variables))  # BUG: foreign-update *discriminator.*
        return loss

    return smokestep.Training(
        {"discriminator": discriminator_step, "generator": generator_step},
        model={"generator": generator, "discriminator": discriminator},
        trains={"discriminator": discriminator, "generator": generator},
    )


def buggy():
    return training(share_optimizer=True)


def fixed():
    return training(share_optimizer=False)
