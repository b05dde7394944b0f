import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            output = model(x, training=True)
            kernel = model.layers[0].kernel
            near = tf.sqrt(tf.reduce_sum(tf.square(kernel - tf.identity(kernel))))
            loss = optimizer.scale_loss(loss_fn(y, output) + near)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))

    return smokestep.Training(step, (keras.random.normal((8, 3)), keras.random.randint((8,), 0, 2)))
