import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed, self.attention = layers.Embedding(20, 16), layers.MultiHeadAttention(2, 8)
        self.head = layers.Dense(2)

    def call(self, ids):
        x = self.embed(ids)
        return self.head(tf.reduce_mean(x + self.attention(x, x), axis=1))


def training():
    model = Net()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.randint((4, 10), 0, 20), keras.random.randint((4,), 0, 2)))
