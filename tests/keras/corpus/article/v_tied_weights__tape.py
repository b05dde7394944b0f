"""Tied embeddings: the head is tied after the list of variables was taken, which goes on holding the one that was replaced."""

import keras
import tensorflow as tf

import smokestep


class Bigram(tf.Module):
    def __init__(self, vocabulary=11, width=8):
        super().__init__()
        self.table = tf.Variable(tf.random.normal((vocabulary, width)), name="table")
        self.mix = tf.Variable(tf.random.normal((width, width)) / width**0.5, name="mix")
        self.head = tf.Variable(tf.random.normal((vocabulary, width)) / width**0.5, name="head")

    def tie(self):
        self.table = self.head

    def __call__(self, ids):
        hidden = tf.tanh(tf.matmul(tf.gather(self.table, ids), self.mix))
        return tf.matmul(hidden, self.head, transpose_b=True)


def training(model, optimizer, variables):
    def step(ids):
        with tf.GradientTape() as tape:
            logits = model(ids[:, :-1])
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(ids[:, 1:], logits))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, tf.random.uniform((4, 9), maxval=11, dtype=tf.int32), model=model)


def buggy():
    model = Bigram()
    variables = [model.table, model.mix]
    optimizer = keras.optimizers.Adam()  # BUG: stale-optimizer *table*, *head*
    model.tie()
    return training(model, optimizer, variables)


def fixed():
    model = Bigram()
    model.tie()
    variables = [model.table, model.mix]
    optimizer = keras.optimizers.Adam()
    optimizer.build(variables)
    return training(model, optimizer, variables)
