"""A network that ends in a softmax over its single unit, under cross-entropy: the loss is always 0."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.fc1 = layers.Dense(12, activation="relu")
        self.fc2 = layers.Dense(outputs)

    def call(self, x):
        x = self.fc1(x)
        return tf.nn.softmax(self.fc2(x))  # BUG: single-logit


def training(outputs, labels):
    model = Net(outputs)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 6)), labels))


def buggy():
    return training(1, tf.zeros((8,), "int32"))


def fixed():
    return training(2, keras.random.randint((8,), 0, 2))
