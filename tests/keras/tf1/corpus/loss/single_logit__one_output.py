"""The second case of the article: softmax cross-entropy over a single logit. The loss is 0, whatever the network says."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_eager_execution()


def _data():
    rng = np.random.RandomState(1)
    x = rng.randn(16, 8)
    return x, (x[:, :1] > 0).astype("float32")


def buggy():
    inputs = tf.placeholder(tf.float32, [None, 8], name="inputs")
    labels = tf.placeholder(tf.float32, [None, 1], name="labels")
    net = slim.fully_connected(inputs, 16)
    logits = slim.fully_connected(net, 1, activation_fn=None)
    cross_entropy = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits)  # BUG: single-logit
    loss = tf.reduce_mean(cross_entropy)
    train_op = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())

    def step(batch):
        return sess.run([loss, train_op], feed_dict={inputs: batch[0], labels: batch[1]})[0]

    return smokestep.Training(step, _data())


def fixed():
    inputs = tf.placeholder(tf.float32, [None, 8], name="inputs")
    labels = tf.placeholder(tf.float32, [None, 1], name="labels")
    net = slim.fully_connected(inputs, 16)
    logits = slim.fully_connected(net, 1, activation_fn=None)
    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))
    train_op = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())

    def step(batch):
        return sess.run([loss, train_op], feed_dict={inputs: batch[0], labels: batch[1]})[0]

    return smokestep.Training(step, _data())
