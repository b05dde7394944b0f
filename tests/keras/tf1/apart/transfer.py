"""A trained body behind `tf.stop_gradient`, and `minimize` without a list: only the head moves, as is meant."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_v2_behavior()


def training_transfer_learning():
    """The idiom of the time for leaving a part out; written by mistake, it would look the same."""
    x = tf.placeholder(tf.float32, [None, 10])
    y = tf.placeholder(tf.int32, [None])
    with tf.variable_scope("body"):
        net = slim.stack(x, slim.fully_connected, [12, 12], scope="fc")
    net = tf.stop_gradient(net)
    with tf.variable_scope("head"):
        logits = slim.fully_connected(net, 3, activation_fn=None, scope="logits")
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    train_op = tf.train.AdamOptimizer(0.01).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(3)
    return smokestep.Training(
        lambda batch: sess.run([loss, train_op], {x: batch[0], y: batch[1]})[0],
        (rng.randn(16, 10), rng.randint(3, size=16)),
    )
