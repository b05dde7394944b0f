import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(16, "relu"), layers.Dense(1)])
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    signs = tf.constant([[1.0], [-1.0], [1.0], [-1.0], [-1.0], [1.0]])
    return smokestep.Training(step, (keras.random.normal((6, 4)), signs))
