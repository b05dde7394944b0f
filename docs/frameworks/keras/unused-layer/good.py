import keras
import tensorflow as tf
from keras import layers

import smokestep


class Gated(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 8))
        self.gate = self.add_weight(shape=(shape[-1], 8))

    def call(self, x):
        return tf.nn.relu(x @ self.kernel) * tf.sigmoid(x @ self.gate)


def training():
    model = keras.Sequential([keras.Input((4,)), Gated(), layers.Dense(1)])
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 4)), keras.random.normal((8, 1))))
