import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4)])
    loss_fn = keras.losses.MeanSquaredError()
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y, mask = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(loss_fn(y, model(x)) * mask) / tf.reduce_sum(mask)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    x, y = keras.random.normal((8, 6)), keras.random.normal((8, 4))
    mask = tf.cast(keras.random.randint((8, 4), 0, 2), "float32")
    return smokestep.Training(step, (x, y, mask))
