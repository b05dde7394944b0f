"""Healthy trainings of other kinds, as they were written for TensorFlow 1."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_eager_execution()


def _session():
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    return sess


def training_word2vec():
    """The skip-gram tutorial: embeddings and a noise-contrastive loss; rows that are not in the batch stay."""
    inputs = tf.placeholder(tf.int32, shape=[None], name="train_inputs")
    labels = tf.placeholder(tf.int32, shape=[None, 1], name="train_labels")
    embeddings = tf.Variable(tf.random_uniform([50, 8], -1.0, 1.0), name="embeddings")
    embed = tf.nn.embedding_lookup(embeddings, inputs)
    nce_weights = tf.Variable(tf.truncated_normal([50, 8], stddev=0.3))
    nce_biases = tf.Variable(tf.zeros([50]))
    loss = tf.reduce_mean(
        tf.nn.nce_loss(
            weights=nce_weights, biases=nce_biases, labels=labels, inputs=embed, num_sampled=5, num_classes=50
        )
    )
    optimizer = tf.train.GradientDescentOptimizer(1.0).minimize(loss)
    norm = tf.sqrt(tf.reduce_sum(tf.square(embeddings), 1, keepdims=True))
    tf.matmul(embeddings / norm, embeddings / norm, transpose_b=True)
    sess = _session()
    rng = np.random.RandomState(0)

    def step(batch):
        return sess.run([optimizer, loss], feed_dict={inputs: batch[0], labels: batch[1]})[1]

    return smokestep.Training(step, (rng.randint(50, size=16), rng.randint(50, size=(16, 1))))


def training_variational_autoencoder():
    """A VAE: reparametrised noise from the graph, two terms in the loss."""
    x = tf.placeholder(tf.float32, [None, 12], name="x")
    with tf.variable_scope("encoder"):
        h = slim.fully_connected(x, 16, activation_fn=tf.nn.softplus, scope="h")
        mean = slim.fully_connected(h, 3, activation_fn=None, scope="mean")
        log_var = slim.fully_connected(h, 3, activation_fn=None, scope="log_var")
    z = mean + tf.exp(log_var / 2) * tf.random_normal(tf.shape(mean))
    with tf.variable_scope("decoder"):
        h = slim.fully_connected(z, 16, activation_fn=tf.nn.softplus, scope="h")
        logits = slim.fully_connected(h, 12, activation_fn=None, scope="out")
    likelihood = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits), 1)
    divergence = -0.5 * tf.reduce_sum(1 + log_var - tf.square(mean) - tf.exp(log_var), 1)
    loss = tf.reduce_mean(likelihood + divergence)
    train_op = tf.train.AdamOptimizer(1e-3).minimize(loss)
    sess = _session()
    rng = np.random.RandomState(1)
    return smokestep.Training(lambda batch: sess.run([train_op, loss], {x: batch})[1], rng.rand(16, 12))


def training_recurrent_by_hand():
    """A character model: a GRU written out and unrolled, the state carried from batch to batch through NumPy."""
    steps, size, letters = 5, 12, 9
    ids = tf.placeholder(tf.int32, [None, steps], name="ids")
    following = tf.placeholder(tf.int32, [None, steps], name="following")
    initial = tf.placeholder(tf.float32, [None, size], name="initial")
    embedding = tf.get_variable("embedding", [letters, 6])
    inputs = tf.unstack(tf.nn.embedding_lookup(embedding, ids), axis=1)
    with tf.variable_scope("gru"):
        gates = tf.get_variable("gates", [6 + size, 2 * size])
        gate_bias = tf.get_variable("gate_bias", [2 * size], initializer=tf.ones_initializer())
        candidate = tf.get_variable("candidate", [6 + size, size])
    state, outputs = initial, []
    for each in inputs:
        r, u = tf.split(tf.sigmoid(tf.matmul(tf.concat([each, state], 1), gates) + gate_bias), 2, axis=1)
        state = u * state + (1 - u) * tf.tanh(tf.matmul(tf.concat([each, r * state], 1), candidate))
        outputs.append(state)
    w = tf.get_variable("softmax_w", [size, letters])
    logits = tf.tensordot(tf.stack(outputs, axis=1), w, 1)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=following, logits=logits))
    variables = tf.trainable_variables()
    gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), 5.0)
    train_op = tf.train.AdamOptimizer(2e-3).apply_gradients(zip(gradients, variables))
    sess = _session()
    rng = np.random.RandomState(2)
    kept = [np.zeros((4, size))]

    def step(batch):
        feed = {ids: batch[:, :-1], following: batch[:, 1:], initial: kept[0]}
        value, kept[0], _ = sess.run([loss, state, train_op], feed)
        return value

    return smokestep.Training(step, rng.randint(letters, size=(4, steps + 1)))


def training_accumulated_gradients():
    """Gradients summed in variables over two runs, applied and set back in a third."""
    x, y = tf.placeholder(tf.float32, [None, 6], name="x"), tf.placeholder(tf.float32, [None, 1], name="y")
    out = slim.fully_connected(slim.fully_connected(x, 8), 1, activation_fn=None)
    loss = tf.losses.mean_squared_error(y, out)
    optimizer = tf.train.AdamOptimizer(1e-2)
    variables = tf.trainable_variables()
    sums = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in variables]
    zero = [each.assign(tf.zeros_like(each)) for each in sums]
    pairs = optimizer.compute_gradients(loss, variables)
    add = [total.assign_add(gradient) for total, (gradient, _) in zip(sums, pairs)]
    train = optimizer.apply_gradients([(total / 2.0, v) for total, v in zip(sums, variables)])
    sess = _session()
    rng = np.random.RandomState(3)

    def step(batch):
        sess.run(zero)
        for half in (slice(0, 8), slice(8, 16)):
            sess.run(add, {x: batch[0][half], y: batch[1][half]})
        sess.run(train)

    return smokestep.Training(step, (rng.randn(16, 6), rng.randn(16, 1)))


def training_dataset_and_monitored_session():
    """Data from `tf.data`, a MonitoredSession with a finalised graph, and no feed at all."""
    rng = np.random.RandomState(4)
    data = rng.randn(64, 6).astype("float32"), rng.randint(3, size=64)
    batches = tf.data.Dataset.from_tensor_slices(data).shuffle(64, seed=0).repeat().batch(8)
    features, labels = tf.data.make_one_shot_iterator(batches).get_next()
    logits = slim.fully_connected(slim.fully_connected(features, 12), 3, activation_fn=None)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    train_op = tf.train.AdagradOptimizer(0.05).minimize(loss, global_step=tf.train.get_or_create_global_step())
    sess = tf.train.MonitoredSession()
    return smokestep.Training(lambda: sess.run([train_op, loss])[1])


def training_condition_and_loop():
    """A warm-up by `tf.cond` and a `tf.while_loop` that sums powers of a matrix."""
    x, y = tf.placeholder(tf.float32, [None, 4], name="x"), tf.placeholder(tf.float32, [None, 4], name="y")
    w = tf.get_variable("w", [4, 4], initializer=tf.random_normal_initializer(stddev=0.2))
    scale = tf.get_variable("scale", [4], initializer=tf.ones_initializer())
    warm = tf.train.get_or_create_global_step() < 2
    _, out = tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, tf.tanh(tf.matmul(h, w))), [0, x])
    out = tf.cond(warm, lambda: out * scale, lambda: out * scale + 0.0)
    loss = tf.reduce_mean(tf.square(out - y))
    train_op = tf.train.GradientDescentOptimizer(0.1).minimize(loss, tf.train.get_global_step())
    sess = _session()
    rng = np.random.RandomState(5)
    return smokestep.Training(
        lambda batch: sess.run([loss, train_op], {x: batch[0], y: batch[1]})[0], (rng.randn(8, 4), rng.randn(8, 4))
    )


def training_hinge_and_log_loss():
    """A matching network with a margin, and an auxiliary `tf.losses.log_loss`, weighted."""
    a, b, c = (tf.placeholder(tf.float32, [None, 6], name=name) for name in ("anchor", "near", "far"))

    def tower(x, reuse):
        with tf.variable_scope("tower", reuse=reuse):
            return tf.nn.l2_normalize(slim.fully_connected(x, 8, activation_fn=tf.nn.tanh, scope="fc"), 1)

    first, second, third = tower(a, None), tower(b, True), tower(c, True)
    near = tf.reduce_sum(tf.square(first - second), 1)
    far = tf.reduce_sum(tf.square(first - third), 1)
    margin = tf.reduce_mean(tf.maximum(0.0, 0.5 + near - far))
    same = tf.nn.sigmoid(tf.reduce_sum(first * second, 1, keepdims=True))
    auxiliary = tf.losses.log_loss(tf.ones_like(same), same, weights=0.1)
    train_op = tf.train.AdamOptimizer(1e-3).minimize(margin + auxiliary)
    sess = _session()
    rng = np.random.RandomState(6)

    def step(batch):
        sess.run(train_op, dict(zip((a, b, c), batch)))

    return smokestep.Training(step, tuple(rng.randn(16, 6) for _ in range(3)))
