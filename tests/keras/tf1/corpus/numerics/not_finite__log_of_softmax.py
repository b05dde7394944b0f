"""`-sum(y * log(softmax))` by hand: a class whose probability is 0 gives a loss that is not finite."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_v2_behavior()


def _training(by_hand):
    x = tf.placeholder(tf.float32, [None, 6], name="x")
    y_ = tf.placeholder(tf.float32, [None, 3], name="labels")
    W = tf.Variable(tf.random_normal([6, 3]))
    logits = tf.matmul(x, W)
    if by_hand:
        y = tf.nn.softmax(logits)
        loss = tf.reduce_mean(-tf.reduce_sum(y_ * tf.log(y), axis=1))  # BUG: not-finite
    else:
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=logits))
    train_op = tf.train.GradientDescentOptimizer(1e-5).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(0)

    def step(batch):
        sess.run(train_op, {x: batch[0], y_: batch[1]})

    return smokestep.Training(step, (200 * rng.randn(16, 6), np.eye(3)[rng.randint(3, size=16)]))


def buggy():
    return _training(by_hand=True)


def fixed():
    return _training(by_hand=False)
