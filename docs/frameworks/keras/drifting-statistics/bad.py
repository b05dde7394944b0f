import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    body = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.BatchNormalization()])
    head = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, head(body(x, training=True)))
        gradients = tape.gradient(loss, head.trainable_variables)
        optimizer.apply_gradients(zip(gradients, head.trainable_variables))

    return smokestep.Training(
        step,
        (keras.random.normal((8, 3)), keras.random.randint((8,), 0, 2)),
        model={"body": body, "head": head},
        untouched=body,
    )
