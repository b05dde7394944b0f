"""`prediction` is a softmax, and goes into the cross-entropy that wants logits: the commonest of the old questions."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_v2_behavior()


def _training(twice):
    x = tf.placeholder(tf.float32, [None, 12], name="x")
    y_ = tf.placeholder(tf.float32, [None, 4], name="y_")
    W1 = tf.Variable(tf.truncated_normal([12, 10], stddev=0.1))
    b1 = tf.Variable(tf.zeros([10]))
    W2 = tf.Variable(tf.truncated_normal([10, 4], stddev=0.1))
    b2 = tf.Variable(tf.zeros([4]))
    hidden = tf.nn.sigmoid(tf.matmul(x, W1) + b1)
    logits = tf.matmul(hidden, W2) + b2
    y = tf.nn.softmax(logits)  # BUG: double-softmax
    cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=y if twice else logits))
    train_step = tf.train.AdamOptimizer(0.01).minimize(cost)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(0)

    def step(batch):
        sess.run(train_step, feed_dict={x: batch[0], y_: batch[1]})

    return smokestep.Training(step, (rng.rand(16, 12), np.eye(4)[rng.randint(4, size=16)]))


def buggy():
    return _training(twice=True)


def fixed():
    return _training(twice=False)
