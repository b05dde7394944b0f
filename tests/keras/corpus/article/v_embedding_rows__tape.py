"""An embedding table read as a NumPy array gets no gradient; in a healthy one only the rows of the batch move."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class Words(keras.Model):
    def __init__(self):
        super().__init__()
        self.table = layers.Embedding(50, 8, name="table")
        self.table.build()
        self.out = layers.Dense(2)

    def call(self, ids):
        return self.out(tf.reduce_mean(self.table(ids), axis=1))


class ArrayWords(Words):
    def call(self, ids):
        vectors = tf.gather(self.table.embeddings.numpy(), ids)  # BUG: gradient-cut *table.embeddings
        return self.out(tf.reduce_mean(vectors, axis=1))


def training(model):
    model = model()
    optimizer = keras.optimizers.SGD(0.1)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.uniform((6, 5), maxval=10, dtype=tf.int32), tf.range(6) % 2))


def buggy():
    return training(ArrayWords)


def fixed():
    return training(Words)
