"""Which framework a training belongs to, where several are imported; and what stands in for what a backend lacks."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from tests.fakes import World, made, recording

from smokestep import engine
from smokestep.backends import Several, framework_of, sole_framework
from smokestep.config import Settings
from smokestep.evidence.steps import Event, Steps
from smokestep.findings import Finding, NotApplicable, Open
from smokestep.training import Training

FRAMEWORKS = ("torch", "jax", "tensorflow")


def of_package(name: str) -> Any:
    """An object whose class comes from a package."""
    return type("Thing", (), {"__module__": f"{name}.inner"})()


def step(*arguments: Any) -> None:
    """A step that mentions nothing."""


def test_what_is_declared_says_it_first():
    thing = of_package("jax")

    def closing(batch: Any) -> Any:
        return thing

    assert framework_of(Training(closing, 1, model=of_package("torch")), FRAMEWORKS) == "torch"


@pytest.mark.parametrize(("package", "framework"), [("flax", "jax"), ("optax", "jax"), ("tf_keras", "tensorflow")])
def test_the_package_of_a_class_names_its_framework(package, framework):
    assert framework_of(Training(step, 1, state={"params": [of_package(package)]}), FRAMEWORKS) == framework


def test_a_class_of_the_users_belongs_to_the_framework_it_derives_from():
    base = type("Module", (), {"__module__": "torch.nn"})
    assert framework_of(Training(step, 1, model=type("Net", (base,), {})()), FRAMEWORKS) == "torch"


def test_a_step_is_asked_for_what_it_closes_over():
    thing = of_package("jaxlib")
    assert framework_of(Training(lambda batch: thing, 1), FRAMEWORKS) == "jax"
    assert framework_of(Training(partial(step, thing), 1), FRAMEWORKS) == "jax"


def test_an_object_with_a_step_is_asked_for_what_it_holds():
    class Trainer:
        def __init__(self) -> None:
            self.model = of_package("tensorflow")

        def step(self, batch: Any) -> None: ...

    assert framework_of(Training(Trainer().step, 1), FRAMEWORKS) == "tensorflow"


def test_the_batch_says_it_last():
    assert framework_of(Training(step, {"x": of_package("torch")}), FRAMEWORKS) == "torch"
    assert framework_of(Training(step, 1), FRAMEWORKS) is None


def test_keras_says_itself_what_it_runs_on(monkeypatch):
    keras = ModuleType("keras")
    vars(keras)["config"] = type("Config", (), {"backend": staticmethod(lambda: "jax")})
    monkeypatch.setitem(sys.modules, "keras", keras)
    assert framework_of(Training(step, 1, model=of_package("keras")), FRAMEWORKS) == "jax"


def test_only_frameworks_that_are_imported_are_named():
    assert framework_of(Training(step, 1, model=of_package("jax")), ("torch",)) is None


def test_of_several_watches_the_one_that_saw_the_loop_reports():
    idle, busy = World(recording()), World(recording(events=(Event(0, 0, "backward"),)))
    assert Several([idle, busy]).recording() is busy.recorded  # type: ignore[list-item]


def test_of_several_watches_one_that_failed_yields_to_one_that_saw_the_loop():
    broken, other = World(RuntimeError("no")), World(recording(events=(Event(0, 0, "backward"),)))
    assert Several([broken, other]).recording() is other.recorded  # type: ignore[list-item]


def test_of_several_watches_one_that_failed_tells_why_where_the_others_saw_nothing():
    with pytest.raises(RuntimeError, match="no"):
        Several([World(recording()), World(RuntimeError("no"))]).recording()  # type: ignore[list-item]


def test_a_function_that_mentions_one_framework_is_not_called_for_the_question():
    thing = of_package("torch")
    assert sole_framework((lambda: thing,), FRAMEWORKS) == "torch"


def test_a_function_that_mentions_two_frameworks_says_nothing_yet():
    things = of_package("torch"), of_package("jax")
    assert sole_framework((lambda: things,), FRAMEWORKS) is None


def judged(world: World) -> Any:
    """The report on one check that finds what it is asked to."""

    def speaks(steps: Steps) -> Any:
        yield Finding("`detach` cuts it", hint="remove `detach`")

    return engine.judge(world, Settings((made(speaks),), (), (), {}, (), False, 0, 3))  # type: ignore[arg-type]


@pytest.mark.parametrize(("gap", "verdict"), [(Open("not seen"), "open"), (NotApplicable("has none"), "notApplicable")])
def test_a_gap_of_the_backend_is_the_verdict(gap, verdict):
    world = World(recording())
    world.missing = {"speaks": gap}
    outcome = judged(world).checks["speaks"]
    assert (outcome.verdict.value, outcome.reason) == (verdict, gap.reason)


def test_a_finding_is_told_in_the_words_of_the_framework():
    world = World(recording())
    world.own_words = (("`detach`", "`stop_gradient`"),)
    (finding,) = judged(world).findings
    assert (finding.message, finding.hint) == ("`stop_gradient` cuts it", "remove `stop_gradient`")
