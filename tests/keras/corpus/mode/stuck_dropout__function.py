"""`tf.nn.dropout` in a layer that does not ask whether it trains."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Drop(layers.Layer):
    def call(self, x):
        return tf.nn.dropout(x, 0.3)  # BUG?: stuck-dropout


class TrainingDrop(layers.Layer):
    def call(self, x, training=False):
        return tf.nn.dropout(x, 0.3) if training else x


def training(drop):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), drop(), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(Drop)


def fixed():
    return training(TrainingDrop)
