"""A layer's weights are made, and the next product takes the ones before: no operation ever reads them."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_eager_execution()


def _training(forgotten):
    x = tf.placeholder(tf.float32, [None, 6], name="x")
    y = tf.placeholder(tf.float32, [None, 1], name="y")
    weights = {
        "h1": tf.Variable(tf.random_normal([6, 8], stddev=0.3), name="h1"),
        "h2": tf.Variable(tf.random_normal([8, 8], stddev=0.3), name="h2"),  # BUG: unused-layer
        "out": tf.Variable(tf.random_normal([8, 1], stddev=0.3), name="out"),
    }
    layer_1 = tf.nn.relu(tf.matmul(x, weights["h1"]))
    layer_2 = layer_1 if forgotten else tf.nn.relu(tf.matmul(layer_1, weights["h2"]))
    prediction = tf.matmul(layer_2, weights["out"])
    cost = tf.reduce_mean(tf.square(prediction - y))
    optimizer = tf.train.GradientDescentOptimizer(learning_rate=0.01).minimize(cost)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(6)

    def step(batch):
        _, c = sess.run([optimizer, cost], feed_dict={x: batch[0], y: batch[1]})
        return c

    return smokestep.Training(step, (rng.randn(16, 6), rng.randn(16, 1)))


def buggy():
    return _training(forgotten=True)


def fixed():
    return _training(forgotten=False)
