"""A `train_step` of one's own with `training=False`, copied from a `test_step`."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    mode = True

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(16, activation="relu")
        self.drop = layers.Dropout(0.5)
        self.out = layers.Dense(3)

    def call(self, x, training=False):
        return self.out(self.drop(self.hidden(x), training=training))

    def train_step(self, data):
        x, y, _ = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=self.mode)  # BUG?: trained-in-eval
            loss = self.compute_loss(y=y, y_pred=y_pred)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


class Copied(Net):
    mode = False


def training(kind):
    model = kind()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)), model=model)


def buggy():
    return training(Copied)


def fixed():
    return training(Net)
