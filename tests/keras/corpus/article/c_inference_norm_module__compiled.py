"""Batch normalization in inference mode: a `train_step` of one's own that calls the model without `training=True`."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Plain(keras.Model):
    def train_step(self, data):
        x, y, _ = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x))  # BUG: inference-normalization *norm
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


class Training(keras.Model):
    def train_step(self, data):
        x, y, _ = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def training(kind):
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(6, 3, padding="same")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = kind(inputs, layers.Dense(3)(x))
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 8, 8, 1)), keras.random.randint((8,), 0, 3)), model=model)


def buggy():
    return training(Plain)


def fixed():
    return training(Training)
