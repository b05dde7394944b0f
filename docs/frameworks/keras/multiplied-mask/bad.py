import keras
import tensorflow as tf
from keras import layers

import smokestep


class Attention(keras.Model):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = layers.Dense(8), layers.Dense(8), layers.Dense(8)
        self.head = layers.Dense(8)

    def call(self, x):
        near = tf.linalg.band_part(tf.ones((x.shape[1], x.shape[1])), 1, 1)
        scores = tf.matmul(self.q(x), self.k(x), transpose_b=True) / 8**0.5
        scores = scores * near
        return self.head(tf.matmul(tf.nn.softmax(scores), self.v(x)))


def training():
    model = Attention()
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((4, 6, 8)), keras.random.normal((4, 6, 8))))
