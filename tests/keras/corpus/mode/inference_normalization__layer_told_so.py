"""A block that calls its normalization with `training=False`, whatever it is told itself."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Block(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(16)
        self.norm = layers.BatchNormalization(name="norm")

    def call(self, x, training=False):
        return tf.nn.relu(self.norm(self.dense(x), training=training))


class Fixed(Block):
    def call(self, x, training=False):
        return tf.nn.relu(self.norm(self.dense(x), training=False))  # BUG: inference-normalization *norm


def training(block):
    model = keras.Sequential([keras.Input((8,)), block(), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(Fixed)


def fixed():
    return training(Block)
