"""The same fault where the steps say what they train: the article's own test, `assert_trains_only`."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_eager_execution()


def dense(x, size, name, activation=None):
    with tf.variable_scope(name):
        w = tf.get_variable("kernel", [x.shape[-1], size])
        b = tf.get_variable("bias", [size], initializer=tf.zeros_initializer())
        out = tf.matmul(x, w) + b
        return activation(out) if activation else out


class GAN:
    def __init__(self, with_lists):
        self.z = tf.placeholder(tf.float32, [None, 4], name="z")
        self.real = tf.placeholder(tf.float32, [None, 6], name="real")
        with tf.variable_scope("gen"):
            fake = dense(dense(self.z, 16, "hidden", tf.nn.relu), 6, "out")
        with tf.variable_scope("disc"):
            on_real = dense(dense(self.real, 16, "hidden", tf.nn.relu), 1, "out")
        with tf.variable_scope("disc", reuse=True):
            on_fake = dense(dense(fake, 16, "hidden", tf.nn.relu), 1, "out")
        bce = tf.losses.sigmoid_cross_entropy
        d_loss = bce(tf.ones_like(on_real), on_real) + bce(tf.zeros_like(on_fake), on_fake)
        g_loss = bce(tf.ones_like(on_fake), on_fake)
        d_vars, g_vars = [tf.trainable_variables(scope) if with_lists else None for scope in ("disc", "gen")]
        adam = tf.train.AdamOptimizer
        self.d_train = adam(2e-4, beta1=0.5).minimize(d_loss, var_list=d_vars)  # BUG: foreign-update
        self.g_train = adam(2e-4, beta1=0.5).minimize(g_loss, var_list=g_vars)  # BUG: foreign-update


def _training(with_lists):
    gan = GAN(with_lists)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(3)

    def discriminate(batch):
        sess.run(gan.d_train, {gan.real: batch, gan.z: rng.randn(len(batch), 4)})

    def generate(batch):
        sess.run(gan.g_train, {gan.z: rng.randn(len(batch), 4)})

    return smokestep.Training(
        {"disc": discriminate, "gen": generate}, rng.randn(16, 6) + 2, trains={"disc": "disc", "gen": "gen"}
    )


def buggy():
    return _training(with_lists=False)


def fixed():
    return _training(with_lists=True)
