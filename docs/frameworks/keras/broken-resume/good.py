import keras
import tensorflow as tf
from keras import layers

import smokestep


class Decaying(keras.optimizers.Optimizer):
    def __init__(self, learning_rate):
        super().__init__(learning_rate, name="decaying")

    def update_step(self, gradient, variable, learning_rate):
        variable.assign_sub(learning_rate * gradient / tf.cast(self.iterations + 1, "float32"))


def training():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = Decaying(0.1)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (keras.random.normal((8, 6)), keras.random.randint((8,), 0, 3)))
