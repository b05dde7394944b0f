"""The GAN of the article: both optimizers were made without `var_list`, so each trains both networks."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_eager_execution()


def generator(z):
    with tf.variable_scope("generator"):
        net = slim.fully_connected(z, 16, scope="fc1")
        return slim.fully_connected(net, 6, activation_fn=None, scope="fc2")


def discriminator(x, reuse=False):
    with tf.variable_scope("discriminator", reuse=reuse):
        net = slim.fully_connected(x, 16, scope="fc1")
        return slim.fully_connected(net, 1, activation_fn=None, scope="fc2")


def _losses():
    z = tf.placeholder(tf.float32, [None, 4], name="z")
    real = tf.placeholder(tf.float32, [None, 6], name="real")
    fake = generator(z)
    on_real, on_fake = discriminator(real), discriminator(fake, reuse=True)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits
    d_loss = tf.reduce_mean(entropy(labels=tf.ones_like(on_real), logits=on_real)) + tf.reduce_mean(
        entropy(labels=tf.zeros_like(on_fake), logits=on_fake)
    )
    g_loss = tf.reduce_mean(entropy(labels=tf.ones_like(on_fake), logits=on_fake))
    return z, real, d_loss, g_loss


def _training(z, real, d_train, g_train):
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(3)

    def step(batch):
        sess.run(d_train, feed_dict={real: batch, z: rng.randn(len(batch), 4)})
        sess.run(g_train, feed_dict={z: rng.randn(len(batch), 4)})

    return smokestep.Training(step, rng.randn(16, 6) + 2)


def buggy():
    z, real, d_loss, g_loss = _losses()
    d_train = tf.train.AdamOptimizer(1e-3).minimize(d_loss)
    g_train = tf.train.AdamOptimizer(1e-3).minimize(g_loss)  # BUG: foreign-parameters
    return _training(z, real, d_train, g_train)


def fixed():
    z, real, d_loss, g_loss = _losses()
    d_vars = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="discriminator")
    g_vars = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="generator")
    d_train = tf.train.AdamOptimizer(1e-3).minimize(d_loss, var_list=d_vars)
    g_train = tf.train.AdamOptimizer(1e-3).minimize(g_loss, var_list=g_vars)
    return _training(z, real, d_train, g_train)
