import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(16, "relu"), layers.Dense(6)])
    discriminator = keras.Sequential([keras.Input((6,)), layers.Dense(16, "relu"), layers.Dense(1)])
    g_optimizer, d_optimizer = keras.optimizers.Adam(), keras.optimizers.Adam()
    loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)
    ones, zeros = tf.ones((8, 1)), tf.zeros((8, 1))

    def step(real):
        fake = generator(tf.random.normal((8, 4)))
        with tf.GradientTape() as tape:
            loss = loss_fn(ones, discriminator(real)) + loss_fn(zeros, discriminator(fake))
        variables = discriminator.trainable_variables
        d_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

        with tf.GradientTape() as tape:
            fake = generator(tf.random.normal((8, 4)))
            loss = loss_fn(zeros, discriminator(fake))
        variables = generator.trainable_variables
        g_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    return smokestep.Training(step, keras.random.normal((8, 6)))
