import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    optimizer = keras.optimizers.SGD(0.1)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            p = tf.nn.relu(model(x))
            loss = -tf.reduce_mean(tf.reduce_sum(y * tf.math.log(p), axis=1))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (keras.random.normal((8, 4)), tf.one_hot(tf.range(8) % 3, 3)))
