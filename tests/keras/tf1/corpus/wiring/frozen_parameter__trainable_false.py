"""A layer was made with `trainable=False` while debugging; the training says that it should train it."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_v2_behavior()


def _training(trainable):
    x = tf.placeholder(tf.float32, [None, 6], name="x")
    y = tf.placeholder(tf.int32, [None], name="y")
    net = slim.fully_connected(x, 10, scope="fc1", trainable=trainable)  # BUG: frozen-parameter
    logits = slim.fully_connected(net, 3, activation_fn=None, scope="fc2")
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    train_op = slim.learning.create_train_op(loss, tf.train.AdamOptimizer(1e-3))
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(0)

    def step(batch):
        return sess.run(train_op, feed_dict={x: batch[0], y: batch[1]})

    return smokestep.Training(step, (rng.randn(8, 6), rng.randint(3, size=8)), trains=["fc1", "fc2"])


def buggy():
    return _training(trainable=False)


def fixed():
    return _training(trainable=True)
