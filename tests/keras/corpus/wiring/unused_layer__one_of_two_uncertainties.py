"""The losses of two tasks weighted by learned uncertainties, of which the second is never read: both begin at 0."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class TwoTasks(keras.Model):
    def __init__(self):
        super().__init__()
        self.body, self.far, self.kind = layers.Dense(16, "relu"), layers.Dense(1), layers.Dense(3)
        self.first = self.add_weight(shape=(), initializer="zeros", name="first")
        self.second = self.add_weight(shape=(), initializer="zeros", name="second")  # BUG: unused-layer second

    def call(self, x):
        hidden = self.body(x)
        return self.far(hidden), self.kind(hidden)

    def weighted(self, distance, entropy):
        return tf.exp(-self.first) * distance + self.first + tf.exp(-self.second) * entropy + self.second


class OneWeight(TwoTasks):
    def weighted(self, distance, entropy):
        return tf.exp(-self.first) * distance + self.first + tf.exp(-self.first) * entropy + self.first


def training(model):
    optimizer = keras.optimizers.Adam(1e-2)

    def step(batch):
        x, far, kind = batch
        with tf.GradientTape() as tape:
            distances, scores = model(x, training=True)
            distance = tf.reduce_mean(tf.square(distances - far))
            entropy = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(kind, scores))
            loss = model.weighted(distance, entropy)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.random.normal((16, 1)), tf.range(16) % 3))


def buggy():
    return training(OneWeight())


def fixed():
    return training(TwoTasks())
