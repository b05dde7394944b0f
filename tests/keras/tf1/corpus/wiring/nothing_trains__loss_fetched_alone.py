"""The loop fetches the loss and the accuracy, and never the train op: the numbers come, and nothing moves."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_v2_behavior()


def _training(forgotten):
    x = tf.placeholder(tf.float32, [None, 6], name="x")
    y = tf.placeholder(tf.int64, [None], name="y")
    logits = slim.fully_connected(slim.fully_connected(x, 8), 3, activation_fn=None)
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y), tf.float32))
    train_op = tf.train.AdamOptimizer(1e-3).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    fetches = [loss, accuracy] if forgotten else [loss, accuracy, train_op]
    rng = np.random.RandomState(0)

    def step(batch):
        return sess.run(fetches, {x: batch[0], y: batch[1]})[0]  # BUG: nothing-trains

    return smokestep.Training(step, (rng.randn(8, 6), rng.randint(3, size=8)))


def buggy():
    return _training(forgotten=True)


def fixed():
    return _training(forgotten=False)
