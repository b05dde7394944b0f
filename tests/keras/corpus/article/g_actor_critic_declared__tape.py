"""The actor-critic with one Adam over all variables, as two steps whose roles are declared."""

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


def training(shared):
    actor, critic = networks()
    everything = actor.trainable_variables + critic.trainable_variables
    moved = everything if shared else actor.trainable_variables
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(moved)
    critic_optimizer = optimizer if shared else keras.optimizers.Adam(1e-3)
    states, actions, returns = transitions()

    def improve_critic():
        with tf.GradientTape() as tape:
            values = tf.squeeze(critic(tf.concat([states, actions], axis=1)), axis=1)
            loss = tf.reduce_mean(tf.square(values - returns))
        variables = critic.trainable_variables
        critic_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    def improve_actor():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(critic(tf.concat([states, actor(states)], axis=1)))
        optimizer.apply_gradients(zip(tape.gradient(loss, moved), moved))  # BUG: foreign-update *critic.*
        return loss

    return smokestep.Training(
        {"critic": improve_critic, "actor": improve_actor},
        model={"actor": actor, "critic": critic},
        trains={"critic": critic, "actor": actor},
    )


def buggy():
    return training(shared=True)


def fixed():
    return training(shared=False)
