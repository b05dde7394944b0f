import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    critic = keras.Sequential([keras.Input((6,)), layers.Dense(16, "tanh"), layers.Dense(1)])
    optimizer = keras.optimizers.Adam()

    def slope(samples):
        with tf.GradientTape() as tape:
            tape.watch(samples)
            score = critic(samples)
        return tape.gradient(score, samples)

    def step(batch):
        real, fake = batch
        slopes = slope(0.5 * real + 0.5 * fake)
        with tf.GradientTape() as tape:
            penalty = tf.reduce_mean(tf.square(tf.norm(slopes, axis=1) - 1))
            loss = tf.reduce_mean(critic(fake)) - tf.reduce_mean(critic(real)) + 10 * penalty
        gradients = tape.gradient(loss, critic.trainable_variables)
        optimizer.apply_gradients(zip(gradients, critic.trainable_variables))

    return smokestep.Training(step, (keras.random.normal((8, 6)), keras.random.normal((8, 6))))
