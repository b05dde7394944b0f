import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensor_slices((keras.random.normal((160, 3)), tf.range(160) // 40))
    batches = iter(data.shuffle(160).batch(8))

    def step():
        x, y = next(batches)
        return model.train_on_batch(x, y)

    return smokestep.Training(step)
