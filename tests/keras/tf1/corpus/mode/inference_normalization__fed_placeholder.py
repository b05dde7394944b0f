"""The mode is a placeholder, and the training step feeds the value of the evaluation."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tests.keras.tf1 import slim_today  # noqa: F401

import smokestep

tf.disable_eager_execution()


def _training(fed):
    x = tf.placeholder(tf.float32, [None, 12], name="x")
    y = tf.placeholder(tf.float32, [None, 1], name="y")
    is_training = tf.placeholder(tf.bool, [], name="is_training")
    net = slim.fully_connected(x, 16, activation_fn=None, biases_initializer=None, scope="fc1")
    net = slim.batch_norm(net, scale=True, is_training=is_training, scope="bn1")  # BUG: inference-normalization
    net = tf.nn.relu(net)
    out = slim.fully_connected(net, 1, activation_fn=None, scope="fc2")
    loss = tf.losses.mean_squared_error(y, out)
    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies(update_ops):
        train_op = tf.train.MomentumOptimizer(0.01, 0.9).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(6)

    def step(batch):
        value, _ = sess.run([loss, train_op], {x: batch["x"], y: batch["y"], is_training: fed})
        return value

    return smokestep.Training(step, {"x": rng.randn(16, 12) * 2, "y": rng.randn(16, 1)})


def buggy():
    return _training(fed=False)


def fixed():
    return _training(fed=True)
