import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    actor = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    critic = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    for_actor, for_critic = keras.optimizers.Adam(), keras.optimizers.Adam()

    def update(optimizer, variables, tape, loss):
        gradients = tape.gradient(loss, variables)
        gradients = [tf.zeros_like(v) if g is None else g for g, v in zip(gradients, variables)]
        optimizer.apply_gradients(zip(gradients, variables))

    def step(batch):
        seen, action, reward = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(reward - critic(tf.concat([seen, action], axis=1))))
        update(for_critic, critic.trainable_variables, tape, loss)
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(critic(tf.concat([seen, actor(seen)], axis=1)))
        update(for_actor, actor.trainable_variables, tape, loss)

    return smokestep.Training(
        step, (keras.random.normal((8, 4)), keras.random.normal((8, 2)), keras.random.normal((8, 1)))
    )
