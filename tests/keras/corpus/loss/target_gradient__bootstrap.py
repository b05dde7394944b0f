"""The bootstrapped target of a Q-network is computed under the tape."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(keep):
    q = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3)])
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.Huber()

    def step(batch):
        state, action, reward, following = batch
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(q(state) * tf.one_hot(action, 3), axis=1)
            target = keep(reward + 0.9 * tf.reduce_max(q(following), axis=1))
            loss = loss_fn(target, value)  # BUG?: target-gradient
        optimizer.apply_gradients(zip(tape.gradient(loss, q.trainable_variables), q.trainable_variables))
        return loss

    batch = tf.random.normal((16, 8)), tf.range(16) % 3, tf.random.normal((16,)), tf.random.normal((16, 8))
    return smokestep.Training(step, batch)


def buggy():
    return training(tf.identity)


def fixed():
    return training(tf.stop_gradient)
