"""Healthy Keras and TensorFlow trainings raise no defect, and no suspicion but those declared here with a reason."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tests.keras.cases import ZOO, factory

import smokestep

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*shuffle=True. was passed:UserWarning"),  # said of every dataset
    pytest.mark.filterwarnings("ignore:.*received .from_logits=True.:UserWarning"),  # training_logits_behind_a_softmax
]
SUSPICIONS: dict[str, dict[str, str]] = {}
"""By name of the entry: the checks whose suspicion is true or tolerable there, and why."""


@pytest.mark.parametrize("entry", ZOO)
def test_healthy_training_stays_silent(entry: str) -> None:
    report = smokestep.examine(factory(*ZOO[entry]))
    declared = SUSPICIONS.get(entry, {})

    assert report.error is None
    assert [str(each) for each in report.defects] == []
    assert [str(each) for each in report.suspicions if each.check not in declared] == []
    assert set(declared) == {each.check for each in report.suspicions}, "declared, and not raised any more"
    assert report.checks["nothing-trains"].verdict.value == "pass"


@pytest.mark.parametrize("entry", ZOO)
def test_healthy_training_really_trains(entry: str) -> None:
    keras.utils.set_random_seed(0)
    training = factory(*ZOO[entry])()
    batch = (training.batch,) if training.has_batch else ()
    held = {id(each): each for step in training.steps.values() for each in variables(step)}
    held |= {id(each): each for model in training.model.values() for each in variables(model)}
    before = {key: np.array(keras.ops.convert_to_numpy(each)) for key, each in held.items()}
    for _ in range(2):
        for step in training.steps.values():
            step(*batch)
    after = {id(each): each for step in training.steps.values() for each in variables(step)}
    after |= {id(each): each for model in training.model.values() for each in variables(model)}
    moved = [
        key
        for key, each in after.items()
        if key not in before or not np.array_equal(before[key], keras.ops.convert_to_numpy(each))
    ]
    assert moved, "an entry must really train: nothing that its step holds has moved"


def variables(root: object) -> list[object]:
    """Every trainable variable that a step or model holds on to; without smokestep's own recorder, and simple."""
    found: list[object] = []
    seen: set[int] = set()

    def walk(thing: object, depth: int) -> None:
        if id(thing) in seen or depth > 6:
            return
        seen.add(id(thing))
        if isinstance(thing, (keras.Layer, tf.Module)):
            found.extend(thing.trainable_variables)
        elif isinstance(thing, (keras.Variable, tf.Variable)):
            found.append(thing)
        elif isinstance(thing, dict):
            for each in thing.values():
                walk(each, depth + 1)
        elif isinstance(thing, (list, tuple)):
            for each in thing:
                walk(each, depth + 1)
        for inner in ("__self__", "python_function", "_python_function"):
            walk(getattr(thing, inner, None), depth + 1)
        for cell in getattr(thing, "__closure__", None) or ():
            walk(cell.cell_contents, depth + 1)

    walk(root, 0)
    return found


def test_zoo_is_wide_enough() -> None:
    assert len(ZOO) >= 30


def test_every_declared_suspicion_has_a_reason() -> None:
    assert not set(SUSPICIONS) - set(ZOO)
    assert [name for name, each in SUSPICIONS.items() for reason in each.values() if len(reason) < 20] == []
