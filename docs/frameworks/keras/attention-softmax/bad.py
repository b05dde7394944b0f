import keras
import tensorflow as tf
from keras import layers

import smokestep


class Attention(keras.Model):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = layers.Dense(8), layers.Dense(8), layers.Dense(8)
        self.head = layers.Dense(3)

    def call(self, x):
        scores = tf.matmul(self.q(x), self.k(x), transpose_b=True) / 8**0.5
        mixed = tf.matmul(tf.nn.softmax(scores, axis=1), self.v(x))
        return self.head(tf.reduce_mean(mixed, axis=1))


def training():
    model = Attention()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((4, 6, 8)), keras.random.randint((4,), 0, 3)))
