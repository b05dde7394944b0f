"""A `tf.Variable` as an attribute of a Keras layer: Keras 3 does not know it, and `trainable_variables` leaves it out."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Scale(layers.Layer):
    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(tf.ones(16), name="scale")  # BUG: unregistered-parameter *scale*

    def call(self, x):
        return x * self.scale


class Weight(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(16,), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale


def training(scale):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), scale(), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(Scale)


def fixed():
    return training(Weight)
