"""Layers kept in an object that is no layer: Keras does not look into it."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Stack:
    def __init__(self):
        self.layers = []
        for name in ("hidden0", "hidden1"):
            layer = layers.Dense(16, "relu", name=name)  # BUG: unregistered-parameter *hidden0.*, *hidden1.*
            self.layers.append(layer)


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.stack = Stack()
        self.out = layers.Dense(3)

    def call(self, x):
        for layer in self.stack.layers:
            x = layer(x)
        return self.out(x)


class Listed(Net):
    def __init__(self):
        super().__init__()
        self.hidden = self.stack.layers


def training(kind):
    model = kind()
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(Net)


def fixed():
    return training(Listed)
