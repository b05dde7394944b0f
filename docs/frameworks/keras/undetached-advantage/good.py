import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    inputs = keras.Input((4,))
    hidden = layers.Dense(16, "tanh")(inputs)
    model = keras.Model(inputs, [layers.Dense(2)(hidden), layers.Dense(1)(hidden)])
    optimizer = keras.optimizers.Adam()

    def step(batch):
        state, action, returns = batch
        with tf.GradientTape() as tape:
            logits, value = model(state)
            log_prob = tf.gather(tf.nn.log_softmax(logits), action, batch_dims=1)
            advantage = returns - tf.squeeze(value, 1)
            loss = -tf.reduce_mean(log_prob * tf.stop_gradient(advantage)) + tf.reduce_mean(tf.square(advantage))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))

    return smokestep.Training(
        step, (keras.random.normal((8, 4)), keras.random.randint((8,), 0, 2), keras.random.normal((8,)))
    )
