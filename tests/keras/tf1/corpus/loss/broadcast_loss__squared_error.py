"""Predictions of shape [n, 1] minus targets of shape [n]: a matrix of differences, and its mean."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_v2_behavior()


def _training(squeezed):
    x = tf.placeholder(tf.float32, [None, 5], name="x")
    y = tf.placeholder(tf.float32, [None], name="y")
    prediction = slim.fully_connected(slim.fully_connected(x, 8), 1, activation_fn=None)
    if squeezed:
        prediction = tf.squeeze(prediction, axis=1)
    cost = tf.reduce_mean(tf.square(prediction - y))  # BUG: broadcast-loss
    optimizer = tf.train.RMSPropOptimizer(1e-3).minimize(cost)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(0)

    def step(batch):
        _, c = sess.run([optimizer, cost], feed_dict={x: batch["x"], y: batch["y"]})
        return c

    return smokestep.Training(step, {"x": rng.randn(16, 5), "y": rng.randn(16)})


def buggy():
    return _training(squeezed=False)


def fixed():
    return _training(squeezed=True)
