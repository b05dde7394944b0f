import keras
from keras import layers

import smokestep


class Adapted(layers.Layer):
    def __init__(self, base):
        super().__init__()
        self.base = base
        self.base.trainable = False

    def build(self, shape):
        self.base.build(shape)
        self.a = self.add_weight(shape=(shape[-1], 4), initializer="glorot_normal")
        self.b = self.add_weight(shape=(4, self.base.units), initializer="zeros")

    def call(self, x):
        return self.base(x) + x @ self.a @ self.b


def training():
    model = keras.Sequential([keras.Input((8,)), Adapted(layers.Dense(16)), layers.ReLU(), layers.Dense(1)])
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 8)), keras.random.normal((8, 1))))
