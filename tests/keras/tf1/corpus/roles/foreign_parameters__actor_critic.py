"""An actor and a critic with one loss each and no `var_list`: the actor's loss, which wants a high value, moves the
critic too."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import smokestep

tf.disable_eager_execution()


def _graph():
    state = tf.placeholder(tf.float32, [None, 5], name="state")
    action = tf.placeholder(tf.float32, [None, 2], name="action")
    wanted = tf.placeholder(tf.float32, [None, 1], name="wanted")

    def critic(act, reuse=False):
        with tf.variable_scope("critic", reuse=reuse):
            net = slim.fully_connected(tf.concat([state, act], 1), 24, scope="fc1")
            return slim.fully_connected(net, 1, activation_fn=None, scope="fc2")

    with tf.variable_scope("actor"):
        net = slim.fully_connected(state, 24, scope="fc1")
        chosen = slim.fully_connected(net, 2, activation_fn=tf.nn.tanh, scope="fc2")
    critic_loss = tf.losses.mean_squared_error(wanted, critic(action))
    actor_loss = -tf.reduce_mean(critic(chosen, reuse=True))
    return (state, action, wanted), critic_loss, actor_loss


def _training(places, critic_op, actor_op):
    state, action, wanted = places
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(4)
    batch = (rng.randn(16, 5), rng.uniform(-1, 1, (16, 2)), rng.randn(16, 1))

    def step(batch):
        sess.run(critic_op, {state: batch[0], action: batch[1], wanted: batch[2]})
        sess.run(actor_op, {state: batch[0]})

    return smokestep.Training(step, batch)


def buggy():
    places, critic_loss, actor_loss = _graph()
    critic_op = tf.train.AdamOptimizer(1e-3).minimize(critic_loss)
    actor_op = tf.train.AdamOptimizer(1e-4).minimize(actor_loss)  # BUG: foreign-parameters
    return _training(places, critic_op, actor_op)


def fixed():
    places, critic_loss, actor_loss = _graph()
    critic_op = tf.train.AdamOptimizer(1e-3).minimize(critic_loss, var_list=tf.trainable_variables("critic"))
    actor_op = tf.train.AdamOptimizer(1e-4).minimize(actor_loss, var_list=tf.trainable_variables("actor"))
    return _training(places, critic_op, actor_op)
