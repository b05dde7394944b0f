import keras
import tensorflow as tf
from keras import layers

import smokestep


class Scale(layers.Layer):
    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(tf.ones(6))

    def call(self, x):
        return x * self.scale


def training():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(6, "relu"), Scale(), layers.Dense(1)])
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 6)), keras.random.normal((8, 1))))
