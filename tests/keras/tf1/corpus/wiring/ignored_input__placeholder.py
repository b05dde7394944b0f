"""The network is built on the constant that stood in for the images while it was written: the placeholder is fed,
and nothing reads it."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_v2_behavior()


def _training(constant):
    rng = np.random.RandomState(0)
    images = tf.placeholder(tf.float32, [None, 10], name="images")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    x = images
    if constant:
        x = tf.constant(rng.randn(8, 10), tf.float32)
    net = slim.fully_connected(x, 12, scope="fc1")  # BUG?: ignored-input
    logits = slim.fully_connected(net, 3, activation_fn=None, scope="fc2")
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    train_op = tf.train.AdamOptimizer(1e-3).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())

    def step(batch):
        _, value = sess.run([train_op, loss], feed_dict={images: batch[0], labels: batch[1]})
        return value

    return smokestep.Training(step, (rng.randn(8, 10), rng.randint(3, size=8)))


def buggy():
    return _training(constant=True)


def fixed():
    return _training(constant=False)
