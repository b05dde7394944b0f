import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    encoder = keras.Sequential([keras.Input((12,)), layers.Dense(8)])
    decoder = keras.Sequential([keras.Input((4,)), layers.Dense(12)])
    variables = encoder.trainable_variables + decoder.trainable_variables
    optimizer = keras.optimizers.Adam()

    def step(x):
        with tf.GradientTape() as tape:
            mean, log_var = tf.split(encoder(x), 2, axis=1)
            code = mean + tf.random.normal(tf.shape(mean)) * tf.exp(0.5 * log_var)
            divergence = -0.5 * tf.reduce_mean(tf.reduce_sum(1 + log_var - tf.square(mean) - tf.exp(log_var), axis=1))
            loss = tf.reduce_mean(tf.reduce_sum(tf.square(decoder(code) - x), axis=1)) + divergence
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables))

    return smokestep.Training(step, keras.random.normal((16, 12)))
