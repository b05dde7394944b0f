"""`tf.stop_gradient` meant for the target stands around the encoder, whose variables the train op lists."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_eager_execution()


def _training(cut):
    x = tf.placeholder(tf.int32, [None, 5], name="x")
    y = tf.placeholder(tf.int32, [None], name="y")
    words = tf.get_variable("words", [30, 10])  # pretrained, stays as it is
    with tf.variable_scope("encoder"):
        mean = tf.reduce_mean(tf.nn.embedding_lookup(words, x), axis=1)
        code = slim.stack(mean, slim.fully_connected, [16, 8], scope="fc")
    if cut:
        code = tf.stop_gradient(code)  # BUG: gradient-cut
    with tf.variable_scope("classifier"):
        logits = slim.fully_connected(code, 4, activation_fn=None, scope="logits")
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    variables = tf.trainable_variables("encoder") + tf.trainable_variables("classifier")
    train_op = tf.train.RMSPropOptimizer(1e-3).minimize(loss, var_list=variables)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(7)

    def step(batch):
        return sess.run([train_op, loss], {x: batch[0], y: batch[1]})[1]

    return smokestep.Training(step, (rng.randint(30, size=(16, 5)), rng.randint(4, size=16)))


def buggy():
    return _training(cut=True)


def fixed():
    return _training(cut=False)
