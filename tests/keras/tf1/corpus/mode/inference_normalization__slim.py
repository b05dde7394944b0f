"""The third case of the article with slim: `is_training=False` reached the training graph through an arg_scope."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tests.keras.tf1 import slim_today  # noqa: F401

import smokestep

tf.disable_eager_execution()


def network(images, is_training):
    with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm, normalizer_params={"is_training": is_training}):
        net = slim.conv2d(images, 6, [3, 3], scope="conv1")  # BUG: inference-normalization
        net = slim.conv2d(net, 6, [3, 3], stride=2, scope="conv2")  # BUG: inference-normalization
    net = tf.reduce_mean(net, [1, 2])
    return slim.fully_connected(net, 4, activation_fn=None, scope="logits")


def _training(is_training):
    images = tf.placeholder(tf.float32, [None, 8, 8, 2], name="images")
    labels = tf.placeholder(tf.int64, [None], name="labels")
    loss = tf.losses.sparse_softmax_cross_entropy(labels, network(images, is_training))
    train_op = slim.learning.create_train_op(loss, tf.train.AdamOptimizer(1e-3))
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(5)

    def step(batch):
        return sess.run(train_op, {images: batch[0], labels: batch[1]})

    return smokestep.Training(step, (rng.rand(8, 8, 8, 2), rng.randint(4, size=8)))


def buggy():
    return _training(is_training=False)


def fixed():
    return _training(is_training=True)
