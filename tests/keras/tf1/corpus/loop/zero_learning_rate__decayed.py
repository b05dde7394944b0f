"""`exponential_decay` is given the numbers of another project: the rate is 0 from the first step."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_v2_behavior()


def _training(rate):
    x = tf.placeholder(tf.float32, [None, 6], name="x")
    y = tf.placeholder(tf.float32, [None, 1], name="y")
    out = slim.fully_connected(slim.fully_connected(x, 8), 1, activation_fn=None)
    loss = tf.reduce_mean(tf.squared_difference(out, y))
    counter = tf.Variable(0, trainable=False, name="counter")
    decayed = tf.train.exponential_decay(rate, counter, 1000, 0.96, staircase=True)
    train_op = tf.train.GradientDescentOptimizer(decayed).minimize(loss, global_step=counter)  # BUG: zero-learning-rate
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(0)
    return smokestep.Training(
        lambda batch: sess.run([loss, train_op], {x: batch[0], y: batch[1]})[0], (rng.randn(8, 6), rng.randn(8, 1))
    )


def buggy():
    return _training(rate=0.0)


def fixed():
    return _training(rate=0.05)
