"""One output under softmax cross-entropy again, with weight decay: every weight moves, and nothing is learned."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Trainer:
    def __init__(self, outputs):
        self.model = keras.Sequential([keras.Input((10,)), layers.Dense(16, activation="relu"), layers.Dense(outputs)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)  # BUG: single-logit
        self.model.compile(keras.optimizers.AdamW(1e-2, weight_decay=0.1), loss)

    def training_step(self, batch):
        x, y = batch
        return self.model.train_on_batch(x, y)


def buggy():
    return smokestep.Training(Trainer(1).training_step, (keras.random.normal((8, 10)), tf.zeros((8,), "int32")))


def fixed():
    return smokestep.Training(
        Trainer(2).training_step, (keras.random.normal((8, 10)), keras.random.randint((8,), 0, 2))
    )
