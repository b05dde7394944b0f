import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        for variable, gradient in zip(model.trainable_variables, gradients):
            variable.assign_sub(0.1 * gradient)
        return loss

    return smokestep.Training(step, (keras.random.normal((8, 4)), keras.random.randint((8,), 0, 3)))
