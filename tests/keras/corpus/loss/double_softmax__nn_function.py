"""`tf.nn.softmax` in the model, and a loss of TensorFlow's own that applies one itself."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self, last):
        super().__init__()
        self.hidden, self.out, self.last = layers.Dense(16, "relu"), layers.Dense(3), last

    def call(self, x):
        return self.last(self.out(self.hidden(x)))  # BUG: double-softmax


def training(last):
    model = Net(last)
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x)))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def buggy():
    return training(tf.nn.softmax)


def fixed():
    return training(tf.identity)
