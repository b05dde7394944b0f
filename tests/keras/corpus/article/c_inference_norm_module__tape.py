"""Batch normalization in inference mode: a loop of one's own does not say that it is training."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def build():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(6, 3, padding="same"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def training(forward):
    model = build()
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        images, labels = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(labels, forward(model, images))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))

    return smokestep.Training(step, (tf.random.normal((8, 8, 8, 1)), tf.range(8) % 3), model=model)


def buggy():
    return training(lambda model, images: model(images))  # BUG: inference-normalization *norm


def fixed():
    return training(lambda model, images: model(images, training=True))
