"""The checks of models that others learn from, on evidence written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.mode.teacher_dropout import teacher_dropout
from smokestep.evidence.flow import Call, Flow, Graph
from smokestep.evidence.modes import Layer, Modes, Run
from smokestep.evidence.steps import Movement, Parameter, Steps
from smokestep.findings import Finding, Line

CALLED, SWITCHED = Line("train.py", 7, "teacher(x)"), Line("train.py", 3, "model.train()")


def parameter(name: str, **more: Any) -> Parameter:
    return Parameter(name, (2,), "float32", 2, True, model=name.split(".")[0], **more)


def call(step: int, model: str = "teacher", inputs: int = 1, *, grad: bool = False) -> Call:
    return Call(step, 1, model, (("x", inputs),), (9,), CALLED, grad=grad)


STEPS = Steps(3, (), (parameter("teacher.w"),), (), (), (None,) * 3)
RUNS = tuple(Run(step, "teacher.drop", True, False) for step in range(3))
MODES = Modes((Layer("teacher.drop", "dropout", "Dropout", probability=0.1, model="teacher"),), RUNS)
FLOW = Flow(tuple(Graph(step, {}, (), (), (call(step),)) for step in range(3)))


def found(steps: Steps = STEPS, modes: Modes = MODES, flow: Flow = FLOW) -> list[Finding]:
    return [each for each in teacher_dropout.judge(steps, modes, flow) if isinstance(each, Finding)]


def test_the_line_is_the_call_or_what_switched_the_mode() -> None:
    assert [each.cause for each in found()] == [CALLED]
    assert [each.cause for each in found(modes=replace(MODES, switches=(("", True, SWITCHED),)))] == [SWITCHED]


@pytest.mark.parametrize(
    "healthy",
    [
        {"steps": replace(STEPS, parameters=(parameter("teacher.w", optimizers=("adam",)),))},
        {"steps": replace(STEPS, movements=(Movement(1, "teacher.w", None, None, 0.1, 1.0),))},
        {"steps": replace(STEPS, parameters=())},
        {"flow": Flow(tuple(replace(each, calls=(*each.calls, call(each.step))) for each in FLOW.graphs))},
        {"flow": Flow(tuple(replace(each, calls=(call(each.step, grad=True),)) for each in FLOW.graphs))},
        {"modes": replace(MODES, runs=tuple(replace(run, training=False) for run in RUNS))},
        {"modes": replace(MODES, runs=tuple(replace(run, reaches_root=False) for run in RUNS))},
        {"modes": replace(MODES, layers=(replace(MODES.layers[0], probability=0.0),))},
        {"modes": replace(MODES, runs=RUNS[:2])},
    ],
    ids=["trained", "followed", "no parameters", "asked twice", "gradient", "eval", "logged", "rate 0", "not always"],
)
def test_teacher_dropout_leaves_alone(healthy: dict[str, Any]) -> None:
    assert found(**healthy) == []
