"""A teacher called with `training=True`: its dropout makes its answers worse."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


def training(mode):
    teacher = keras.Sequential([keras.Input((8,)), layers.Dense(32, "relu"), layers.Dropout(0.5), layers.Dense(3)])
    student = keras.Sequential([keras.Input((8,)), layers.Dense(3)])
    optimizer = keras.optimizers.SGD(0.1)
    divergence = keras.losses.KLDivergence()

    def step(x):
        wanted = tf.nn.softmax(teacher(x, training=mode))  # BUG?: teacher-dropout
        with tf.GradientTape() as tape:
            loss = divergence(wanted, tf.nn.softmax(student(x, training=True)))
        optimizer.apply_gradients(zip(tape.gradient(loss, student.trainable_variables), student.trainable_variables))
        return loss

    return smokestep.Training(step, tf.random.normal((16, 8)))


def buggy():
    return training(True)


def fixed():
    return training(False)
