"""A hard choice by `tf.argmax` in the middle of the network: no gradient passes it."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_eager_execution()


def _training(hard):
    x = tf.placeholder(tf.float32, [None, 6], name="x")
    y = tf.placeholder(tf.float32, [None, 2], name="y")
    with tf.variable_scope("gate"):
        scores = tf.matmul(x, tf.get_variable("w", [6, 4]))
        if hard:
            choice = tf.one_hot(tf.argmax(scores, axis=1), 4)  # BUG: gradient-cut
        else:
            choice = tf.nn.softmax(scores)
    with tf.variable_scope("experts"):
        values = tf.get_variable("v", [4, 2])
    loss = tf.losses.mean_squared_error(y, tf.matmul(choice, values))
    train_op = tf.train.AdamOptimizer(1e-2).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(8)

    def step(batch):
        sess.run(train_op, {x: batch[0], y: batch[1]})

    return smokestep.Training(step, (rng.randn(16, 6), rng.randn(16, 2)))


def buggy():
    return _training(hard=True)


def fixed():
    return _training(hard=False)
