import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    actor = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    critic = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    variables = actor.trainable_variables + critic.trainable_variables
    optimizer = keras.optimizers.Adam()

    def step(batch):
        state, action, value = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(value - critic(tf.concat([state, action], axis=1))))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(critic(tf.concat([state, actor(state)], axis=1)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    batch = keras.random.normal((8, 3)), keras.random.normal((8, 1)), keras.random.normal((8, 1))
    return smokestep.Training(step, batch, model={"actor": actor, "critic": critic})
