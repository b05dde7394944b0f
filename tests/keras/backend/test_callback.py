"""The callback on TensorFlow: it watches the first steps of a fit, and leaves the model as it was compiled."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import smokestep
from smokestep.keras import Watch

pytestmark = pytest.mark.filterwarnings("ignore:Gradients do not exist")
INPUTS = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
LABELS = np.arange(32) % 2


class Dead(keras.Model):
    """A model one layer of which reaches nothing."""

    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(4, activation="tanh"), layers.Dense(4, activation="tanh")
        self.out = layers.Dense(2, activation="softmax")

    def call(self, x):
        hidden = self.first(x)
        hidden = self.second(x)
        return self.out(hidden)


def dead():
    model = Dead()
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def compiled(*last, **choices):
    model = keras.Sequential([layers.Input((3,)), layers.Dense(8, activation="relu"), *last])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **choices)
    return model


def fit(model, watch, **choices):
    return model.fit(INPUTS, LABELS, batch_size=8, epochs=2, verbose=0, callbacks=[watch], **choices)


@pytest.mark.parametrize("choices", [{}, {"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 2}])
def test_a_healthy_fit_goes_on_as_compiled(choices):
    model, watch = compiled(layers.Dense(2, activation="softmax"), **choices), Watch(show=None)
    before = model.jit_compile, model.run_eagerly
    history = fit(model, watch, validation_data=(INPUTS, LABELS))
    assert len(history.history["val_loss"]) == 2
    assert watch.report.steps == 3
    assert not watch.report.findings
    assert (model.jit_compile, model.run_eagerly) == before
    assert not tf.config.functions_run_eagerly()


def test_the_report_is_printed_once(capsys):
    fit(dead(), Watch())
    said = capsys.readouterr().out
    assert said.count("on request:") == 1
    assert "hidden = self.first(x)" in said


def test_a_defect_may_end_the_fit():
    model, watch = dead(), Watch(show=None, raise_on_defect=True)
    with pytest.raises(smokestep.TrainingDefect, match="dead-branch"):
        fit(model, watch)
    assert not tf.config.functions_run_eagerly()
    assert len(fit(model, Watch(show=None)).history["loss"]) == 2


def test_a_fit_that_raises_is_put_back_and_told():
    model, watch = compiled(layers.Dense(2, activation="softmax")), Watch(show=None)
    with pytest.raises(ValueError, match="no numbers"):
        model.train_step = lambda data: (_ for _ in ()).throw(ValueError("no numbers"))
        fit(model, watch)
    assert "no numbers" in str(watch.report.error)
    assert not tf.config.functions_run_eagerly()


def test_gradients_that_are_gathered_are_no_update():
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(gradient_accumulation_steps=4), "mse")
    batch = (INPUTS, INPUTS[:, :1])
    assert not smokestep.examine(smokestep.Training(lambda pair: model.train_on_batch(*pair), batch)).findings


@pytest.mark.filterwarnings("ignore")  # Keras says of no data that there are none
def test_a_fit_without_a_batch_is_not_judged(capsys):
    model, watch = keras.Sequential([layers.Input((3,)), layers.Dense(1)]), Watch()
    model.compile("adam", "mse")
    batches = tf.data.Dataset.from_tensor_slices((INPUTS, INPUTS[:, :1])).batch(8)
    model.fit(batches.take(0), verbose=0, callbacks=[watch])
    assert watch.report.verdict.value == "open"
    assert "no batch was trained on" in capsys.readouterr().out


def test_a_model_that_is_not_compiled_is_refused_by_keras():
    model, watch = keras.Sequential([layers.Input((3,)), layers.Dense(1)]), Watch(show=None)
    with pytest.raises(ValueError, match="compile"):
        model.fit(INPUTS, INPUTS[:, :1], verbose=0, callbacks=[watch])
    assert watch.report is None
    assert not tf.config.functions_run_eagerly()
