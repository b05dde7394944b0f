"""A softmax over the steps of a sequence instead of over its classes."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Tagger(keras.Model):
    def __init__(self, axis):
        super().__init__()
        self.rnn, self.out, self.axis = layers.GRU(8, return_sequences=True), layers.Dense(4), axis

    def call(self, x):
        return tf.nn.softmax(self.out(self.rnn(x)), axis=self.axis)  # BUG: wrong-softmax-dim


def training(axis):
    model = Tagger(axis)
    model.compile("adam", "sparse_categorical_crossentropy")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 5, 6)), keras.random.randint((8, 5), 0, 4)))


def buggy():
    return training(1)


def fixed():
    return training(-1)
