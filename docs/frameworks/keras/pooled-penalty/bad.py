import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    critic = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, strides=2, activation="tanh"),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    optimizer = keras.optimizers.Adam()

    def step(batch):
        real, fake = batch
        with tf.GradientTape() as tape:
            mixed = 0.5 * real + 0.5 * fake
            with tf.GradientTape() as inner:
                inner.watch(mixed)
                score = critic(mixed)
            slopes = inner.gradient(score, mixed)
            penalty = tf.reduce_mean(tf.square(tf.norm(slopes, axis=1) - 1))
            loss = tf.reduce_mean(critic(fake)) - tf.reduce_mean(critic(real)) + 10 * penalty
        gradients = tape.gradient(loss, critic.trainable_variables)
        optimizer.apply_gradients(zip(gradients, critic.trainable_variables))

    return smokestep.Training(step, (keras.random.normal((6, 8, 8, 3)), keras.random.normal((6, 8, 8, 3))))
