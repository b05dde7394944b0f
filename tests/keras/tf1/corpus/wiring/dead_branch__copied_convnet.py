"""The convnet of the article (Roberts, 2017), line for line: every layer was copied, and is given the input image."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_eager_execution()


def make_convnet_copied(input_image):
    net = slim.conv2d(input_image, 4, [11, 11], scope="conv1_11x11")  # BUG: dead-branch
    net = slim.conv2d(input_image, 6, [5, 5], scope="conv2_5x5")
    net = slim.max_pool2d(net, [4, 4], stride=4, scope="pool1")  # BUG: dead-branch
    net = slim.conv2d(input_image, 6, [5, 5], scope="conv3_5x5")  # BUG: dead-branch
    net = slim.conv2d(input_image, 8, [3, 3], scope="conv4_3x3")
    net = slim.max_pool2d(net, [2, 2], scope="pool2")  # BUG: dead-branch
    net = slim.conv2d(input_image, 8, [3, 3], scope="conv5_3x3")
    net = slim.max_pool2d(net, [2, 2], scope="pool3")  # BUG: dead-branch
    net = slim.conv2d(input_image, 4, [1, 1], scope="conv6_1x1")
    return net


def make_convnet(input_image):
    net = slim.conv2d(input_image, 4, [11, 11], scope="conv1_11x11")
    net = slim.conv2d(net, 6, [5, 5], scope="conv2_5x5")
    net = slim.max_pool2d(net, [4, 4], stride=4, scope="pool1")
    net = slim.conv2d(net, 6, [5, 5], scope="conv3_5x5")
    net = slim.conv2d(net, 8, [3, 3], scope="conv4_3x3")
    net = slim.max_pool2d(net, [2, 2], scope="pool2")
    net = slim.conv2d(net, 8, [3, 3], scope="conv5_3x3")
    net = slim.max_pool2d(net, [2, 2], scope="pool3")
    net = slim.conv2d(net, 4, [1, 1], scope="conv6_1x1")
    return net


def _training(convnet):
    images = tf.placeholder(tf.float32, (None, 32, 32, 3))
    labels = tf.placeholder(tf.float32, (None, 5))
    net = slim.flatten(convnet(images))
    prediction = slim.fully_connected(net, 5, activation_fn=None, scope="logits")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=prediction))
    train_op = tf.train.AdamOptimizer(1e-3).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(0)
    batch = (rng.rand(8, 32, 32, 3), np.eye(5)[rng.randint(5, size=8)])

    def step(batch):
        image, label = batch
        _, value = sess.run([train_op, loss], feed_dict={images: image, labels: label})
        return value

    return smokestep.Training(step, batch)


def buggy():
    return _training(make_convnet_copied)


def fixed():
    return _training(make_convnet)
