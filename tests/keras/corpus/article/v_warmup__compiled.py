"""A warm-up that divides whole numbers stays at a learning rate of 0; a healthy one starts from 0 and leaves it."""

import keras
import tensorflow as tf
from keras import layers

import smokestep

WARMUP = 1000


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, share):
        super().__init__()
        self.share = share

    def __call__(self, step):
        return 1e-3 * tf.minimum(1.0, tf.cast(self.share(step), "float32"))


def training(share):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(12, "relu"), layers.Dense(3)])
    optimizer = keras.optimizers.Adam(WarmUp(share))  # BUG: zero-learning-rate
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 6)), keras.random.randint((8,), 0, 3)))


def buggy():
    return training(lambda step: step // WARMUP)


def fixed():
    return training(lambda step: step / WARMUP)
