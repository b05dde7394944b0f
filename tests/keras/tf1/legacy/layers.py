"""Trainings with `tf.layers` and recurrent cells, which today need tf_keras and TF_USE_LEGACY_KERAS=1."""

import numpy as np
import tensorflow.compat.v1 as tf

import smokestep

tf.disable_v2_behavior()


def _session():
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    return sess


def _convnet(mode, with_updates=True):
    features = tf.placeholder(tf.float32, [None, 8, 8, 1], name="features")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    training = tf.placeholder(tf.bool, [], name="training")
    net = tf.layers.conv2d(features, 4, 3, padding="same", use_bias=False)
    net = tf.nn.relu(tf.layers.batch_normalization(net, training=training))
    net = tf.layers.max_pooling2d(net, 2, 2)
    net = tf.layers.dropout(tf.layers.dense(tf.layers.flatten(net), 16, tf.nn.relu), 0.4, training=training)
    logits = tf.layers.dense(net, 5)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS) if with_updates else []):
        train_op = tf.train.AdamOptimizer(1e-3).minimize(loss)
    sess = _session()
    rng = np.random.RandomState(0)

    def step(batch):
        return sess.run([loss, train_op], {features: batch[0], labels: batch[1], training: mode})[0]

    return smokestep.Training(step, (rng.rand(8, 8, 8, 1), rng.randint(5, size=8)))


def training_estimator_style_convnet():
    """The convnet of the layers tutorial, healthy."""
    return _convnet(True)


def training_with_mode_of_evaluation():
    """The same, fed `training=False`: inference-normalization."""
    return _convnet(False)


def training_without_updates():
    """The same, whose moving averages nothing updates: frozen-statistics, a suspicion."""
    return _convnet(True, with_updates=False)


def training_dynamic_rnn():
    """A sequence classifier with an LSTM cell and `tf.nn.dynamic_rnn`, healthy."""
    words = tf.placeholder(tf.int32, [None, 6], name="words")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    lengths = tf.placeholder(tf.int32, [None], name="lengths")
    table = tf.get_variable("embedding", [20, 5])
    cell = tf.nn.rnn_cell.LSTMCell(7)
    _, state = tf.nn.dynamic_rnn(cell, tf.nn.embedding_lookup(table, words), lengths, dtype=tf.float32)
    logits = tf.layers.dense(state.h, 3)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    optimizer = tf.train.AdamOptimizer(1e-2)
    gradients, variables = zip(*optimizer.compute_gradients(loss))
    gradients, _ = tf.clip_by_global_norm(gradients, 5.0)
    train_op = optimizer.apply_gradients(zip(gradients, variables))
    sess = _session()
    rng = np.random.RandomState(1)

    def step(batch):
        return sess.run([loss, train_op], {words: batch[0], labels: batch[1], lengths: batch[2]})[0]

    return smokestep.Training(step, (rng.randint(20, size=(8, 6)), rng.randint(3, size=8), rng.randint(2, 7, size=8)))
