import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    encoder = keras.Sequential([keras.Input((8,)), layers.Dense(4)])
    decoder = keras.Sequential([keras.Input((4,)), layers.Dense(8)])
    codes = layers.Embedding(10, 4)
    codes.build()
    variables = encoder.trainable_variables + codes.trainable_variables + decoder.trainable_variables
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.MeanSquaredError()

    def step(x):
        with tf.GradientTape() as tape:
            z = encoder(x)
            distances = tf.reduce_sum(tf.square(z[:, None] - codes.embeddings[None]), axis=2)
            q = codes(tf.argmin(distances, axis=1))
            decoded = decoder(q + tf.stop_gradient(z - q))
            loss = loss_fn(x, decoded) + loss_fn(tf.stop_gradient(z), q) + 0.25 * loss_fn(tf.stop_gradient(q), z)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    return smokestep.Training(step, keras.random.normal((16, 8)))
