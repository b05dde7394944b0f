"""Two towers are joined, and the loss is taken of the first tower's logits: the second takes no part."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_v2_behavior()


def linear(x, size, scope):
    with tf.variable_scope(scope):
        w = tf.get_variable("w", [x.get_shape().as_list()[-1], size])
        b = tf.get_variable("b", [size], initializer=tf.constant_initializer(0.0))
        return tf.nn.bias_add(tf.matmul(x, w), b)


def _training(joined):
    image = tf.placeholder(tf.float32, [None, 12], name="image")
    text = tf.placeholder(tf.float32, [None, 7], name="text")
    label = tf.placeholder(tf.float32, [None, 3], name="label")
    seen = tf.nn.relu(linear(image, 8, "image_tower"))
    read = tf.nn.relu(linear(text, 8, "text_tower"))
    if joined:
        features = tf.concat([seen, read], axis=1)
    else:
        features = tf.concat([seen, read], axis=1)  # BUG: dead-branch
        features = seen
    logits = linear(features, 3, "head")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=label, logits=logits))
    train_op = tf.train.AdagradOptimizer(0.1).minimize(loss)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(0)
    batch = {image: rng.randn(8, 12), text: rng.randn(8, 7), label: np.eye(3)[rng.randint(3, size=8)]}

    def step():
        return sess.run([train_op, loss], feed_dict=batch)[1]

    return smokestep.Training(step)


def buggy():
    return _training(joined=False)


def fixed():
    return _training(joined=True)
