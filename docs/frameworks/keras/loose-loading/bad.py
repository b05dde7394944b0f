import tempfile

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    with tempfile.TemporaryDirectory() as folder:
        saved = tf.train.Checkpoint(net=model).write(f"{folder}/saved")
        tf.train.Checkpoint(model=model).read(saved).expect_partial()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 6)), keras.random.randint((8,), 0, 3)))
