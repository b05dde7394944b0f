"""The assertions for a hand-written test, on Keras models."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import layers

import smokestep


def test_what_a_block_trains_and_leaves():
    model, other = (keras.Sequential([layers.Input((3,)), layers.Dense(2)]) for _ in range(2))
    optimizer = keras.optimizers.SGD(0.1)

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(tf.ones((4, 3))) - 1.0))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    with smokestep.trains(model), smokestep.untouched(other):
        step()
    with pytest.raises(smokestep.TrainingDefect, match="other"), smokestep.trains(other):
        step()
    with pytest.raises(smokestep.TrainingDefect, match="kernel"), smokestep.untouched(model):
        step()
