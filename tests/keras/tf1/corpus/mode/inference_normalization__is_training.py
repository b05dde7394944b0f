"""The third case of the article: batch norm of a training graph built with `is_training=False`."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_eager_execution()


def batch_norm(x, is_training, scope, decay=0.9):
    """Written out, as many projects of the time did: moving averages, their update operations, tf.nn.batch_normalization."""
    with tf.variable_scope(scope):
        gamma = tf.get_variable("gamma", [x.shape[-1]], initializer=tf.ones_initializer())
        beta = tf.get_variable("beta", [x.shape[-1]], initializer=tf.zeros_initializer())
        moving_mean = tf.get_variable("moving_mean", [x.shape[-1]], initializer=tf.zeros_initializer(), trainable=False)
        moving_variance = tf.get_variable(
            "moving_variance", [x.shape[-1]], initializer=tf.ones_initializer(), trainable=False
        )
        if is_training:
            mean, variance = tf.nn.moments(x, [0])
            for moving, now in ((moving_mean, mean), (moving_variance, variance)):
                update = tf.assign(moving, moving * decay + now * (1 - decay))
                tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
        else:
            mean, variance = moving_mean, moving_variance
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)  # BUG: inference-normalization


def _training(is_training):
    x = tf.placeholder(tf.float32, [None, 10], name="x")
    y = tf.placeholder(tf.int64, [None], name="y")
    with tf.variable_scope("hidden"):
        net = tf.matmul(x, tf.get_variable("w", [10, 16]))
    net = tf.nn.relu(batch_norm(net, is_training, "bn"))
    with tf.variable_scope("out"):
        logits = tf.nn.xw_plus_b(net, tf.get_variable("w", [16, 3]), tf.get_variable("b", [3]))
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train_op = tf.train.AdamOptimizer(1e-3).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(5)

    def step(batch):
        sess.run(train_op, {x: batch[0], y: batch[1]})

    return smokestep.Training(step, (rng.randn(16, 10) * 3 + 1, rng.randint(3, size=16)))


def buggy():
    return _training(is_training=False)


def fixed():
    return _training(is_training=True)
