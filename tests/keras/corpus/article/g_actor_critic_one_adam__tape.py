"""An actor-critic with one Adam over all variables: the actor's step drives the critic to praise every action."""

import keras
import tensorflow as tf
from keras import layers

import smokestep

STATE, ACTION = 5, 2


def networks():
    actor = keras.Sequential(
        [keras.Input((STATE,)), layers.Dense(16, "relu"), layers.Dense(ACTION, "tanh")], name="actor"
    )
    critic = keras.Sequential(
        [keras.Input((STATE + ACTION,)), layers.Dense(16, "relu"), layers.Dense(1)], name="critic"
    )
    return actor, critic


def transitions():
    return tf.random.normal((16, STATE)), tf.random.uniform((16, ACTION), -1.0, 1.0), tf.random.normal((16,))


def buggy():
    actor, critic = networks()
    variables = actor.trainable_variables + critic.trainable_variables
    optimizer = keras.optimizers.Adam(1e-3)  # BUG: foreign-parameters *critic.*

    def step(batch):
        states, actions, returns = batch
        with tf.GradientTape() as tape:
            values = tf.squeeze(critic(tf.concat([states, actions], axis=1)), axis=1)
            critic_loss = tf.reduce_mean(tf.square(values - returns))
        optimizer.apply_gradients(zip(tape.gradient(critic_loss, variables), variables))

        with tf.GradientTape() as tape:
            actor_loss = -tf.reduce_mean(critic(tf.concat([states, actor(states)], axis=1)))
        optimizer.apply_gradients(zip(tape.gradient(actor_loss, variables), variables))
        return actor_loss

    return smokestep.Training(step, transitions(), model={"actor": actor, "critic": critic})


def fixed():
    actor, critic = networks()
    actor_optimizer, critic_optimizer = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)

    def step(batch):
        states, actions, returns = batch
        with tf.GradientTape() as tape:
            values = tf.squeeze(critic(tf.concat([states, actions], axis=1)), axis=1)
            critic_loss = tf.reduce_mean(tf.square(values - returns))
        critic_optimizer.apply_gradients(
            zip(tape.gradient(critic_loss, critic.trainable_variables), critic.trainable_variables)
        )

        with tf.GradientTape() as tape:
            actor_loss = -tf.reduce_mean(critic(tf.concat([states, actor(states)], axis=1)))
        actor_optimizer.apply_gradients(
            zip(tape.gradient(actor_loss, actor.trainable_variables), actor.trainable_variables)
        )
        return actor_loss

    return smokestep.Training(step, transitions(), model={"actor": actor, "critic": critic})
