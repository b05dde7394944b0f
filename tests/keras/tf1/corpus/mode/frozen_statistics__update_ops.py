"""`slim.batch_norm` puts the updates of its moving averages into a collection, and nothing runs them."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tests.keras.tf1 import slim_today  # noqa: F401

import smokestep

tf.disable_eager_execution()


def _training(run_updates):
    x = tf.placeholder(tf.float32, [None, 8], name="x")
    y = tf.placeholder(tf.float32, [None, 3], name="y")
    net = slim.fully_connected(x, 16, scope="fc1")
    net = slim.batch_norm(net, is_training=True, decay=0.9, scope="bn1")  # BUG?: frozen-statistics
    logits = slim.fully_connected(net, 3, activation_fn=None, scope="fc2")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=logits))
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) if run_updates else []
    with tf.control_dependencies(updates):
        train_op = tf.train.AdamOptimizer().minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(7)

    def step(batch):
        sess.run(train_op, feed_dict={x: batch[0], y: batch[1]})

    return smokestep.Training(step, (rng.randn(16, 8), np.eye(3)[rng.randint(3, size=16)]))


def buggy():
    return _training(run_updates=False)


def fixed():
    return _training(run_updates=True)
