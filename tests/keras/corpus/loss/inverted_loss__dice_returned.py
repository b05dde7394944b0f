"""The overlap itself is returned for the loss, which is then made small."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def dice(y_true, y_pred):
    both = tf.reduce_sum(y_true * y_pred)
    return (2 * both + 1) / (tf.reduce_sum(y_true) + tf.reduce_sum(y_pred) + 1)  # BUG?: inverted-loss


def dice_loss(y_true, y_pred):
    return 1 - dice(y_true, y_pred)


def training(loss):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(9, "sigmoid")])
    model.compile("adam", loss)

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(
        step, (keras.random.normal((16, 8)), tf.cast(keras.random.randint((16, 9), 0, 2), "float32"))
    )


def buggy():
    return training(dice)


def fixed():
    return training(dice_loss)
