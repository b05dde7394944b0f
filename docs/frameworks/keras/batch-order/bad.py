import keras
import tensorflow as tf
from keras import layers

import smokestep


class Positions(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(64, 1, 6), initializer="random_normal", trainable=False)

    def call(self, x):
        return x + self.table[: x.shape[0]]


def training():
    model = keras.Sequential([Positions(), layers.Dense(8, "relu"), layers.Flatten(), layers.Dense(3)])
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (keras.random.normal((8, 5, 6)), keras.random.randint((8,), 0, 3)))
