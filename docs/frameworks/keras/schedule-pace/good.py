import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    data = tf.data.Dataset.from_tensor_slices((keras.random.normal((2000, 3)), keras.random.randint((2000,), 0, 2)))
    data = data.shuffle(2000).batch(8)
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=10 * len(data), decay_rate=0.1, staircase=True)
    model.compile(keras.optimizers.SGD(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, next(iter(data)))
