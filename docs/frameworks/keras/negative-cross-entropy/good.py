import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y, class_weight={0: 1.0, 1: 1.0, 2: 2.0})

    return smokestep.Training(step, (keras.random.normal((8, 4)), tf.constant([1, 2, 1, 2, 1, 2, 1, 2])))
