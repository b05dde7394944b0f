"""A sigmoid unit under `sigmoid_cross_entropy_with_logits`."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(activation):
    model = keras.Sequential(  # BUG: double-softmax
        [keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(1, activation)]
    )
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, model(x)))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.cast(tf.random.uniform((16, 1)) > 0.5, "float32")))


def buggy():
    return training("sigmoid")


def fixed():
    return training(None)
