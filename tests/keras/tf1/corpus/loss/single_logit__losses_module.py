"""A sentiment classifier in raw TensorFlow 1, with `tf.losses.softmax_cross_entropy` over its one output."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_eager_execution()


class Classifier:
    def __init__(self, size, softmax):
        self.x = tf.placeholder(tf.float32, [None, size], name="x")
        self.y = tf.placeholder(tf.float32, [None, 1], name="y")
        w1 = tf.get_variable("w1", [size, 12])
        b1 = tf.get_variable("b1", [12], initializer=tf.zeros_initializer())
        hidden = tf.nn.tanh(tf.matmul(self.x, w1) + b1)
        w2 = tf.get_variable("w2", [12, 1])
        b2 = tf.get_variable("b2", [1], initializer=tf.zeros_initializer())
        self.logits = tf.nn.xw_plus_b(hidden, w2, b2)
        if softmax:
            self.loss = tf.losses.softmax_cross_entropy(self.y, self.logits)  # BUG: single-logit
        else:
            self.loss = tf.losses.sigmoid_cross_entropy(self.y, self.logits)
        self.train = tf.train.MomentumOptimizer(0.05, 0.9).minimize(self.loss)


def _training(softmax):
    model = Classifier(6, softmax)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(2)
    batch = {"x": rng.randn(12, 6), "y": rng.randint(2, size=(12, 1))}

    def step(batch):
        sess.run(model.train, feed_dict={model.x: batch["x"], model.y: batch["y"]})

    return smokestep.Training(step, batch)


def buggy():
    return _training(softmax=True)


def fixed():
    return _training(softmax=False)
