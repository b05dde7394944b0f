import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    q = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    optimizer = keras.optimizers.SGD(0.1)
    loss_fn = keras.losses.MeanSquaredError()

    def step(batch):
        state, action, reward, following = batch
        target = reward + 0.9 * tf.reduce_max(q(following), axis=1)
        with tf.GradientTape() as tape:
            value = tf.gather(q(state), action, batch_dims=1)
            loss = loss_fn(target, value)
        gradients = tape.gradient(loss, q.trainable_variables)
        optimizer.apply_gradients(zip(gradients, q.trainable_variables))

    batch = (
        keras.random.normal((8, 4)),
        keras.random.randint((8,), 0, 2),
        keras.random.normal((8,)),
        keras.random.normal((8, 4)),
    )
    return smokestep.Training(step, batch)
