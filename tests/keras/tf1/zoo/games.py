"""Healthy adversaries and agents as they were written for TensorFlow 1."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_eager_execution()


def _session():
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    return sess


def training_gan_of_weights():
    """The GAN of many blogs: weights without scopes, two lists of them, losses by sigmoid cross-entropy."""
    X = tf.placeholder(tf.float32, shape=[None, 8], name="X")
    Z = tf.placeholder(tf.float32, shape=[None, 4], name="Z")
    D_W1 = tf.Variable(tf.random_normal([8, 16], stddev=0.3))
    D_b1 = tf.Variable(tf.zeros([16]))
    D_W2 = tf.Variable(tf.random_normal([16, 1], stddev=0.3))
    D_b2 = tf.Variable(tf.zeros([1]))
    G_W1 = tf.Variable(tf.random_normal([4, 16], stddev=0.3))
    G_b1 = tf.Variable(tf.zeros([16]))
    G_W2 = tf.Variable(tf.random_normal([16, 8], stddev=0.3))
    G_b2 = tf.Variable(tf.zeros([8]))

    def generator(z):
        return tf.nn.sigmoid(tf.matmul(tf.nn.relu(tf.matmul(z, G_W1) + G_b1), G_W2) + G_b2)

    def discriminator(x):
        logit = tf.matmul(tf.nn.relu(tf.matmul(x, D_W1) + D_b1), D_W2) + D_b2
        return tf.nn.sigmoid(logit), logit

    _, real = discriminator(X)
    _, fake = discriminator(generator(Z))
    bce = tf.nn.sigmoid_cross_entropy_with_logits
    D_loss = tf.reduce_mean(bce(logits=real, labels=tf.ones_like(real))) + tf.reduce_mean(
        bce(logits=fake, labels=tf.zeros_like(fake))
    )
    G_loss = tf.reduce_mean(bce(logits=fake, labels=tf.ones_like(fake)))
    D_solver = tf.train.AdamOptimizer().minimize(D_loss, var_list=[D_W1, D_W2, D_b1, D_b2])
    G_solver = tf.train.AdamOptimizer().minimize(G_loss, var_list=[G_W1, G_W2, G_b1, G_b2])
    sess = _session()
    rng = np.random.RandomState(0)

    def step(batch):
        _, d = sess.run([D_solver, D_loss], feed_dict={X: batch, Z: rng.uniform(-1, 1, (16, 4))})
        _, g = sess.run([G_solver, G_loss], feed_dict={Z: rng.uniform(-1, 1, (16, 4))})
        return d

    return smokestep.Training(step, rng.rand(16, 8))


def training_wgan_with_gradient_penalty():
    """WGAN-GP: `tf.gradients` inside the critic's loss."""

    def critic(x, reuse=False):
        with tf.variable_scope("critic", reuse=reuse):
            net = slim.fully_connected(x, 16, activation_fn=tf.nn.leaky_relu, scope="fc1")
            return slim.fully_connected(net, 1, activation_fn=None, scope="fc2")

    z = tf.random_normal([16, 4])
    real = tf.placeholder(tf.float32, [16, 6])
    with tf.variable_scope("generator"):
        fake = slim.fully_connected(slim.fully_connected(z, 16, scope="fc1"), 6, activation_fn=None, scope="fc2")
    on_real, on_fake = critic(real), critic(fake, True)
    alpha = tf.random_uniform([16, 1])
    between = alpha * real + (1 - alpha) * fake
    slopes = tf.sqrt(tf.reduce_sum(tf.square(tf.gradients(critic(between, True), [between])[0]), axis=1))
    penalty = tf.reduce_mean((slopes - 1.0) ** 2)
    c_loss = tf.reduce_mean(on_fake) - tf.reduce_mean(on_real) + 10 * penalty
    g_loss = -tf.reduce_mean(on_fake)
    c_vars = [v for v in tf.trainable_variables() if v.name.startswith("critic")]
    g_vars = [v for v in tf.trainable_variables() if v.name.startswith("generator")]
    c_op = tf.train.AdamOptimizer(1e-4, beta1=0.5, beta2=0.9).minimize(c_loss, var_list=c_vars)
    g_op = tf.train.AdamOptimizer(1e-4, beta1=0.5, beta2=0.9).minimize(g_loss, var_list=g_vars)
    sess = _session()
    rng = np.random.RandomState(1)

    def step(batch):
        for _ in range(2):
            sess.run(c_op, {real: batch})
        sess.run(g_op)

    return smokestep.Training(step, rng.randn(16, 6))


def training_dqn():
    """DQN: a target network that is asked in a run of its own, copied by assignments, and `minimize` without a list."""
    state = tf.placeholder(tf.float32, [None, 5], name="state")
    action = tf.placeholder(tf.int32, [None], name="action")
    wanted = tf.placeholder(tf.float32, [None], name="wanted")

    def network(scope):
        with tf.variable_scope(scope):
            net = slim.fully_connected(state, 16, scope="fc1")
            return slim.fully_connected(net, 3, activation_fn=None, scope="q")

    q, target_q = network("online"), network("target")
    copies = [t.assign(o) for o, t in zip(tf.trainable_variables("online"), tf.trainable_variables("target"))]
    chosen = tf.reduce_sum(q * tf.one_hot(action, 3), axis=1)
    loss = tf.reduce_mean(tf.square(wanted - chosen))
    train_op = tf.train.AdamOptimizer(1e-3).minimize(loss)
    sess = _session()
    sess.run(copies)
    rng = np.random.RandomState(2)

    def step(batch):
        s, a, r, s2 = batch
        best = sess.run(target_q, {state: s2}).max(axis=1)
        return sess.run([loss, train_op], {state: s, action: a, wanted: r + 0.99 * best})[0]

    batch = rng.randn(16, 5), rng.randint(3, size=16), rng.randn(16), rng.randn(16, 5)
    return smokestep.Training(step, batch)


def training_double_network_in_one_graph():
    """Q-learning with the target in the same graph, behind `tf.stop_gradient`, and soft updates after each step."""
    s, s2 = (tf.placeholder(tf.float32, [None, 5], name=name) for name in ("s", "s_next"))
    r, a = tf.placeholder(tf.float32, [None], name="r"), tf.placeholder(tf.int32, [None], name="a")

    def network(x, scope):
        with tf.variable_scope(scope):
            net = slim.fully_connected(x, 16, scope="fc1")
            return slim.fully_connected(net, 3, activation_fn=None, scope="q")

    q, q2 = network(s, "eval_net"), network(s2, "target_net")
    target = tf.stop_gradient(r + 0.9 * tf.reduce_max(q2, axis=1))
    picked = tf.gather_nd(q, tf.stack([tf.range(tf.shape(a)[0]), a], axis=1))
    loss = tf.reduce_mean(tf.squared_difference(target, picked))
    train = tf.train.RMSPropOptimizer(1e-3).minimize(loss)
    pairs = list(zip(tf.trainable_variables("eval_net"), tf.trainable_variables("target_net")))
    soft = [tf.assign(t, 0.99 * t + 0.01 * e) for e, t in pairs]
    sess = _session()
    sess.run([tf.assign(t, e) for e, t in pairs])
    rng = np.random.RandomState(3)

    def step(batch):
        sess.run(train, dict(zip((s, a, r, s2), batch)))
        sess.run(soft)

    return smokestep.Training(step, (rng.randn(16, 5), rng.randint(3, size=16), rng.randn(16), rng.randn(16, 5)))


def training_advantage_actor_critic():
    """A2C: shared body, one loss of three terms, gradients clipped by their global norm."""
    obs = tf.placeholder(tf.float32, [None, 6])
    actions = tf.placeholder(tf.int32, [None])
    returns = tf.placeholder(tf.float32, [None])
    with tf.variable_scope("model"):
        h = slim.fully_connected(obs, 16, activation_fn=tf.nn.tanh, scope="h")
        pi = slim.fully_connected(h, 4, activation_fn=None, scope="pi")
        vf = slim.fully_connected(h, 1, activation_fn=None, scope="vf")[:, 0]
    advantage = tf.stop_gradient(returns - vf)
    neglogp = tf.nn.sparse_softmax_cross_entropy_with_logits(logits=pi, labels=actions)
    pg_loss = tf.reduce_mean(advantage * neglogp)
    vf_loss = tf.reduce_mean(tf.square(vf - returns) / 2.0)
    entropy = tf.reduce_mean(-tf.reduce_sum(tf.nn.softmax(pi) * tf.nn.log_softmax(pi), axis=1))
    loss = pg_loss - entropy * 0.01 + vf_loss * 0.5
    params = tf.trainable_variables("model")
    grads, _ = tf.clip_by_global_norm(tf.gradients(loss, params), 0.5)
    train = tf.train.RMSPropOptimizer(7e-4, decay=0.99, epsilon=1e-5).apply_gradients(list(zip(grads, params)))
    action = tf.argmax(pi - tf.log(-tf.log(tf.random_uniform(tf.shape(pi)))), 1)
    sess = _session()
    rng = np.random.RandomState(4)

    def step(batch):
        taken = sess.run(action, {obs: batch[0]})
        sess.run([pg_loss, vf_loss, train], {obs: batch[0], actions: taken, returns: batch[1]})

    return smokestep.Training(step, (rng.randn(16, 6), rng.randn(16)))


def training_ddpg():
    """DDPG: actor and critic with lists of their own, and the actor's loss through the critic."""
    s = tf.placeholder(tf.float32, [None, 5], name="s")
    taken = tf.placeholder(tf.float32, [None, 2], name="taken")
    y = tf.placeholder(tf.float32, [None, 1], name="y")
    with tf.variable_scope("actor"):
        mu = slim.fully_connected(slim.fully_connected(s, 16, scope="l1"), 2, activation_fn=tf.nn.tanh, scope="mu")

    def critic(a, reuse):
        with tf.variable_scope("critic", reuse=reuse):
            net = slim.fully_connected(tf.concat([s, a], 1), 16, scope="l1")
            return slim.fully_connected(net, 1, activation_fn=None, scope="q")

    q_loss = tf.losses.mean_squared_error(labels=y, predictions=critic(taken, None))
    a_loss = -tf.reduce_mean(critic(mu, True))
    q_train = tf.train.AdamOptimizer(1e-3).minimize(q_loss, var_list=tf.trainable_variables("critic"))
    a_train = tf.train.AdamOptimizer(1e-4).minimize(a_loss, var_list=tf.trainable_variables("actor"))
    sess = _session()
    rng = np.random.RandomState(5)

    def step(batch):
        sess.run([q_train], {s: batch[0], taken: batch[1], y: batch[2]})
        sess.run([a_train], {s: batch[0]})

    return smokestep.Training(step, (rng.randn(16, 5), rng.uniform(-1, 1, (16, 2)), rng.randn(16, 1)))
