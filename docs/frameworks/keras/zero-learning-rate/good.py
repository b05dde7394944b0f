import keras
import tensorflow as tf
from keras import layers

import smokestep


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 * tf.minimum(1.0, tf.cast(step, "float32") / 100)


def training():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(WarmUp()), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 3)), keras.random.randint((8,), 0, 2)))
