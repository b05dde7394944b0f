import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(2)])
    loss_fn = keras.losses.MeanSquaredError()
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            y = output = model(x, training=True)
            loss = loss_fn(tf.stop_gradient(y), output)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (keras.random.normal((8, 4)), keras.random.normal((8, 2))))
