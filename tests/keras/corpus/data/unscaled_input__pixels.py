"""Bytes of images go into a dense layer as they are."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(scale):
    model = keras.Sequential(  # BUG?: unscaled-input
        [keras.Input((8, 8)), layers.Flatten(), *scale, layers.Dense(8, "relu"), layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    images = tf.cast(keras.random.randint((16, 8, 8), 0, 256), "uint8")
    return smokestep.Training(step, (images, keras.random.randint((16,), 0, 3)))


def buggy():
    return training([])


def fixed():
    return training([layers.Rescaling(1 / 255)])
