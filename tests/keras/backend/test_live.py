"""Loops that the user runs: watched in a block, or as an unmodified script."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import smokestep


def _model(**settings):
    model = keras.Sequential([layers.Input((3,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    model.compile(optimizer="adam", loss="mse", **settings)
    return model


def test_a_fit_is_watched_and_goes_on():
    model, data = _model(), (np.random.normal(size=(40, 3)), np.random.normal(size=(40, 1)))
    with smokestep.watch() as watched:
        history = model.fit(*data, batch_size=8, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert watched.report.steps == 3
    assert not watched.report.findings
    assert not tf.config.functions_run_eagerly()


def test_a_custom_loop_is_watched():
    model = keras.Sequential(
        [layers.Input((3,)), layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dense(1)]
    )
    optimizer = keras.optimizers.Adam()
    with smokestep.watch() as watched:
        for _ in range(5):
            inputs, targets = tf.random.normal((8, 3)), tf.random.normal((8, 1))
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(inputs) - targets))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    assert watched.report.steps == 3
    assert [each.check for each in watched.report.findings] == ["inference-normalization"]


def test_an_unmodified_script_is_stopped_and_reported(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """
            import numpy as np
            import keras
            from keras import layers

            model = keras.Sequential([layers.Input((3,)), layers.Dense(8), layers.Dense(2)])
            model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
            model.fit(np.random.normal(size=(64, 3)), np.arange(64) % 2, batch_size=8, epochs=1000, verbose=0)
            """
        )
    )
    told = subprocess.run(
        [sys.executable, "-m", "smokestep", "run", str(script)], capture_output=True, text=True, check=False
    )
    assert "missing-log-softmax" in told.stdout, told.stdout + told.stderr
    assert "train.py" in told.stdout


def test_a_layer_left_out_of_a_model_is_told_in_a_script(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """
            import numpy as np
            import keras
            from keras import layers

            inputs = keras.Input((3,))
            hidden = layers.Dense(8, activation="relu")(inputs)
            hidden = layers.Dense(4, activation="relu")(inputs)
            model = keras.Model(inputs, layers.Dense(1)(hidden))
            model.compile("adam", "mse")
            model.fit(np.random.normal(size=(64, 3)), np.random.normal(size=(64, 1)), batch_size=8, verbose=0)
            """
        )
    )
    told = subprocess.run(
        [sys.executable, "-m", "smokestep", "run", str(script)], capture_output=True, text=True, check=False
    )
    assert "dead-branch" in told.stdout, told.stdout + told.stderr
    assert 'layers.Dense(8, activation="relu")(inputs)' in told.stdout
