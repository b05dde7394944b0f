import keras
import tensorflow as tf
from keras import layers

import smokestep


def training():
    encoder = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
    head = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    variables = encoder.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, head(encoder(x)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    return smokestep.Training(
        step,
        (keras.random.normal((8, 3)), keras.random.randint((8,), 0, 2)),
        model={"encoder": encoder, "head": head},
        trains=head,
    )
