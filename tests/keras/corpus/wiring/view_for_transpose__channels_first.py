"""Images of channels first, reshaped for a convolution that wants channels last."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(arrange):
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(6, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(arrange(x), y)

    return smokestep.Training(step, (keras.random.normal((8, 3, 8, 8)), keras.random.randint((8,), 0, 3)))


def buggy():
    return training(lambda x: tf.reshape(x, (-1, 8, 8, 3)))  # BUG?: view-for-transpose


def fixed():
    return training(lambda x: tf.transpose(x, (0, 2, 3, 1)))
