import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.start = self.add_weight(shape=(1, 8), initializer="zeros")
        self.out = layers.Dense(1)

    def call(self, x):
        noise = tf.random.normal(tf.shape(x))
        return self.out(tf.tanh(self.start + noise))


def training():
    model = Net()
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((6, 8)), keras.random.normal((6, 1))))
