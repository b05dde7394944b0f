"""Keras trainings that run on any of its backends. As a script: examines those that are named, and prints JSON."""

from __future__ import annotations

import json
import sys

import keras
import numpy as np
from keras import layers

import smokestep
from smokestep.keras import Watch

RANDOM = np.random.default_rng(0)
INPUTS, TARGETS = RANDOM.normal(size=(32, 3)).astype("float32"), RANDOM.normal(size=(32, 1)).astype("float32")
IMAGES = RANDOM.normal(size=(8, 5, 5, 3)).astype("float32")
ONES = (np.arange(32) % 2).astype("float32")[:, None]


class Dead(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(3, 3, padding="same", activation="relu")
        self.second = layers.Conv2D(3, 3, padding="same", activation="relu")
        self.flatten, self.out = layers.Flatten(), layers.Dense(1)

    def call(self, image):
        hidden = self.first(image)
        hidden = self.second(image)
        return self.out(self.flatten(hidden))


def dense(*last):
    return keras.Sequential([layers.Input((3,)), layers.Dense(8, activation="relu"), *last])


def compiled(model, loss, *batch):
    model.compile(keras.optimizers.Adam(1e-3), loss)
    return smokestep.Training(lambda pair: model.train_on_batch(*pair), batch)


def healthy():
    return compiled(dense(layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(1)), "mse", INPUTS, TARGETS)


def healthy_fit():
    model = dense(layers.Dense(1))
    model.compile(keras.optimizers.SGD(1e-2, momentum=0.9), "mse")
    return smokestep.Training(lambda pair: model.fit(*pair, batch_size=32, verbose=0), (INPUTS, TARGETS))


def frozen():
    base = dense()
    base.trainable = False
    return compiled(keras.Sequential([base, layers.Dense(1)]), "mse", INPUTS, TARGETS)


def gathered():
    model = dense(layers.Dense(1))
    model.compile(keras.optimizers.Adam(1e-3, gradient_accumulation_steps=4), "mse")
    return smokestep.Training(lambda pair: model.train_on_batch(*pair), (INPUTS, TARGETS))


def dead():
    return compiled(Dead(), "mse", IMAGES, TARGETS[:8])


def one_unit():
    return compiled(dense(layers.Dense(1, activation="softmax")), "binary_crossentropy", INPUTS, ONES)


def callback():
    """What a callback sees of a fit, and what it leaves."""
    model, watch, quiet = dense(layers.Dense(1)), Watch(show=None), Watch(show=None, raise_on_defect=True)
    model.compile("adam", "mse")
    plain = (model.jit_compile, model.run_eagerly)
    history = model.fit(INPUTS, TARGETS, batch_size=8, epochs=2, verbose=0, callbacks=[watch])
    broken = Dead()
    broken.compile("adam", "mse")
    raised = False
    try:
        broken.fit(IMAGES, TARGETS[:8], batch_size=2, epochs=2, verbose=0, callbacks=[quiet])
    except smokestep.TrainingDefect:
        raised = True
    short = Watch(show=None)
    model.fit(INPUTS, TARGETS, batch_size=32, verbose=0, callbacks=[short])
    return {
        "epochs": len(history.history["loss"]),
        "steps": watch.report.steps,
        "healthy": [each.check for each in watch.report.findings],
        "short": [each.check for each in short.report.findings],
        "kept": (model.jit_compile, model.run_eagerly) == plain and "Watch" not in repr(model.train_function),
        "raised": raised,
        "dead": [each.check for each in quiet.report.findings],
    }


def examined(factory):
    report = smokestep.examine(factory)
    return {
        "error": report.error,
        "notes": report.notes,
        "optimizers": dict(report.training.optimizers),
        "passed": sum(each.verdict.value == "pass" for each in report.checks.values()),
        "found": {each.check: [each.message, each.cause.code if each.cause else ""] for each in report.findings},
    }


if __name__ == "__main__":
    told = {}
    for name in sys.argv[1:]:
        keras.utils.clear_session()
        told[name] = callback() if name == "callback" else examined(globals()[name])
    print(json.dumps(told))
