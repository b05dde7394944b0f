"""`SparseCategoricalCrossentropy()` wants probabilities unless it is told `from_logits=True`."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(criterion):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3)])
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = criterion(y, model(x, training=True))  # BUG: missing-log-softmax
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(keras.losses.SparseCategoricalCrossentropy())


def fixed():
    return training(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
