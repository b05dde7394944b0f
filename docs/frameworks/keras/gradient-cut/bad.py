import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    encoder = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu")])
    head = keras.Sequential([keras.Input((8,)), layers.Dense(2)])
    variables = encoder.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            features = tf.stop_gradient(encoder(x))
            loss = loss_fn(y, head(features))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (keras.random.normal((8, 6)), keras.random.randint((8,), 0, 2)))
