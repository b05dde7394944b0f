"""Healthy classifiers as they were written for TensorFlow 1."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tests.keras.tf1 import slim_today  # noqa: F401

import smokestep

tf.disable_eager_execution()


def _session():
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    return sess


def training_mnist_for_beginners():
    """The first tutorial: softmax regression with the cross-entropy written out, and its accuracy."""
    x = tf.placeholder(tf.float32, [None, 16])
    W = tf.Variable(tf.zeros([16, 4]))
    b = tf.Variable(tf.zeros([4]))
    y = tf.nn.softmax(tf.matmul(x, W) + b)
    y_ = tf.placeholder(tf.float32, [None, 4])
    cross_entropy = tf.reduce_mean(-tf.reduce_sum(y_ * tf.log(y), reduction_indices=[1]))
    train_step = tf.train.GradientDescentOptimizer(0.5).minimize(cross_entropy)
    correct = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
    tf.reduce_mean(tf.cast(correct, tf.float32))
    sess = tf.InteractiveSession()
    tf.global_variables_initializer().run()
    rng = np.random.RandomState(0)
    batch = rng.rand(20, 16), np.eye(4)[rng.randint(4, size=20)]

    def step(batch):
        sess.run(train_step, feed_dict={x: batch[0], y_: batch[1]})

    return smokestep.Training(step, batch)


def training_deep_mnist_for_experts():
    """The second tutorial: a convnet of helper functions, dropout by a fed keep_prob, accuracy on the side."""

    def weight_variable(shape):
        return tf.Variable(tf.truncated_normal(shape, stddev=0.1))

    def bias_variable(shape):
        return tf.Variable(tf.constant(0.1, shape=shape))

    def conv2d(x, W):
        return tf.nn.conv2d(x, W, strides=[1, 1, 1, 1], padding="SAME")

    x = tf.placeholder(tf.float32, [None, 64])
    y_ = tf.placeholder(tf.float32, [None, 4])
    x_image = tf.reshape(x, [-1, 8, 8, 1])
    h_conv1 = tf.nn.relu(conv2d(x_image, weight_variable([3, 3, 1, 4])) + bias_variable([4]))
    h_pool1 = tf.nn.max_pool(h_conv1, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    h_conv2 = tf.nn.relu(conv2d(h_pool1, weight_variable([3, 3, 4, 8])) + bias_variable([8]))
    h_pool2 = tf.nn.max_pool(h_conv2, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    flat = tf.reshape(h_pool2, [-1, 2 * 2 * 8])
    h_fc1 = tf.nn.relu(tf.matmul(flat, weight_variable([32, 32])) + bias_variable([32]))
    keep_prob = tf.placeholder(tf.float32)
    h_drop = tf.nn.dropout(h_fc1, keep_prob)
    y_conv = tf.matmul(h_drop, weight_variable([32, 4])) + bias_variable([4])
    cross_entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=y_conv))
    train_step = tf.train.AdamOptimizer(1e-3).minimize(cross_entropy)
    correct = tf.equal(tf.argmax(y_conv, 1), tf.argmax(y_, 1))
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
    sess = _session()
    rng = np.random.RandomState(0)
    batch = rng.rand(16, 64), np.eye(4)[rng.randint(4, size=16)]
    count = [0]

    def step(batch):
        if count[0] % 2 == 0:
            sess.run(accuracy, feed_dict={x: batch[0], y_: batch[1], keep_prob: 1.0})
        count[0] += 1
        sess.run(train_step, feed_dict={x: batch[0], y_: batch[1], keep_prob: 0.5})

    return smokestep.Training(step, batch)


def training_slim_with_everything():
    """slim as in its examples: arg_scopes, batch norm, dropout, weight decay, summaries, a decayed rate, an evaluation
    graph that shares the weights."""
    images = tf.placeholder(tf.float32, [None, 8, 8, 3], name="images")
    labels = tf.placeholder(tf.int64, [None], name="labels")

    def network(images, is_training, reuse=None):
        with (
            slim.arg_scope(
                [slim.conv2d, slim.fully_connected],
                weights_regularizer=slim.l2_regularizer(5e-4),
                normalizer_fn=slim.batch_norm,
                normalizer_params={"is_training": is_training, "decay": 0.95},
            ),
            tf.variable_scope("net", reuse=reuse),
        ):
            net = slim.repeat(images, 2, slim.conv2d, 4, [3, 3], scope="conv1")
            net = slim.max_pool2d(net, [2, 2], scope="pool1")
            net = slim.flatten(net)
            net = slim.fully_connected(net, 16, scope="fc1")
            net = slim.dropout(net, 0.7, is_training=is_training, scope="dropout1")
            return slim.fully_connected(net, 5, activation_fn=None, normalizer_fn=None, scope="logits")

    logits = network(images, True)
    test_logits = network(images, False, reuse=True)
    tf.losses.sparse_softmax_cross_entropy(labels, logits)
    total_loss = tf.losses.get_total_loss()
    tf.summary.scalar("loss", total_loss)
    for variable in tf.trainable_variables():
        tf.summary.histogram(variable.op.name, variable)
    step_counter = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.01, step_counter, 10, 0.9)
    train_op = slim.learning.create_train_op(total_loss, tf.train.MomentumOptimizer(rate, 0.9))
    summaries = tf.summary.merge_all()
    predictions = tf.argmax(test_logits, 1)
    sess = _session()
    rng = np.random.RandomState(1)
    batch = rng.rand(8, 8, 8, 3), rng.randint(5, size=8)

    def step(batch):
        loss, _ = sess.run([train_op, summaries], {images: batch[0], labels: batch[1]})
        sess.run(predictions, {images: batch[0]})
        return loss

    return smokestep.Training(step, batch)


def training_moving_average_of_weights():
    """The CIFAR-10 tutorial: averages of the weights for evaluation, kept by the train op."""
    x = tf.placeholder(tf.float32, [None, 12])
    y = tf.placeholder(tf.int32, [None])
    with tf.variable_scope("local3"):
        w = tf.get_variable("weights", [12, 8], initializer=tf.truncated_normal_initializer(stddev=0.1))
        local3 = tf.nn.relu(tf.matmul(x, w) + tf.get_variable("biases", [8], initializer=tf.constant_initializer(0.1)))
        tf.add_to_collection("losses", tf.multiply(tf.nn.l2_loss(w), 0.004, name="weight_loss"))
    with tf.variable_scope("softmax_linear"):
        w = tf.get_variable("weights", [8, 3], initializer=tf.truncated_normal_initializer(stddev=0.1))
        logits = tf.add(tf.matmul(local3, w), tf.get_variable("biases", [3], initializer=tf.zeros_initializer()))
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    tf.add_to_collection("losses", tf.reduce_mean(entropy, name="cross_entropy"))
    loss = tf.add_n(tf.get_collection("losses"), name="total_loss")
    loss_averages = tf.train.ExponentialMovingAverage(0.9, name="avg")
    averaged_losses = loss_averages.apply(tf.get_collection("losses") + [loss])
    with tf.control_dependencies([averaged_losses]):
        optimizer = tf.train.GradientDescentOptimizer(0.1)
        gradients = optimizer.compute_gradients(loss)
    applied = optimizer.apply_gradients(gradients, global_step=tf.train.get_or_create_global_step())
    averages = tf.train.ExponentialMovingAverage(0.99, tf.train.get_global_step())
    with tf.control_dependencies([applied]):
        train_op = averages.apply(tf.trainable_variables())
    sess = _session()
    rng = np.random.RandomState(2)

    def step(batch):
        _, value = sess.run([train_op, loss], {x: batch[0], y: batch[1]})
        return value

    return smokestep.Training(step, (rng.randn(16, 12), rng.randint(3, size=16)))


def training_head_alone_by_list():
    """Fine-tuning of the last layer, its variables given as `var_list`."""
    x = tf.placeholder(tf.float32, [None, 10])
    y = tf.placeholder(tf.int32, [None])
    net = slim.fully_connected(x, 12, scope="features/fc1")
    logits = slim.fully_connected(net, 3, activation_fn=None, scope="Logits")
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    train_op = slim.learning.create_train_op(
        loss, tf.train.RMSPropOptimizer(0.001), variables_to_train=slim.get_trainable_variables("Logits")
    )
    sess = _session()
    rng = np.random.RandomState(4)
    return smokestep.Training(
        lambda batch: sess.run(train_op, {x: batch[0], y: batch[1]}), (rng.randn(16, 10), rng.randint(3, size=16))
    )


def training_two_phases():
    """Layerwise pretraining: two train ops in one graph, and this step runs the first."""
    x = tf.placeholder(tf.float32, [None, 10])
    y = tf.placeholder(tf.int32, [None])
    with tf.variable_scope("encoder"):
        code = slim.fully_connected(x, 6, activation_fn=tf.nn.sigmoid, scope="fc")
    with tf.variable_scope("decoder"):
        back = slim.fully_connected(code, 10, activation_fn=None, scope="fc")
    with tf.variable_scope("classifier"):
        logits = slim.fully_connected(code, 3, activation_fn=None, scope="fc")
    reconstruction = tf.reduce_mean(tf.square(back - x))
    entropy = tf.losses.sparse_softmax_cross_entropy(y, logits)
    pretrain = tf.train.AdamOptimizer(0.01).minimize(reconstruction)
    tf.train.AdamOptimizer(0.01).minimize(entropy)
    sess = _session()
    rng = np.random.RandomState(5)
    return smokestep.Training(lambda batch: sess.run(pretrain, {x: batch}), rng.randn(16, 10))
