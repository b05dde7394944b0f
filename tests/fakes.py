"""A world without a framework: hand-written evidence for the tests of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from smokestep.check import Check, check
from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.modes import Modes
from smokestep.evidence.numbers import Numbers
from smokestep.evidence.steps import Event, Steps
from smokestep.findings import Line, NotApplicable, Open
from smokestep.training import Training
from smokestep.world import Recording


def recording(count: int = 3, raised_at: int | None = None, **steps: Any) -> Recording:
    """An empty recording of some steps; `raised_at` is the step that raised."""
    if raised_at is not None:
        steps |= {
            "events": (Event(0, raised_at, "error"),),
            "error": "ValueError: no",
            "error_line": Line("train.py", 7, "loss = net(x)"),
        }
    values = {"events": (), "parameters": (), "movements": (), "optimizers": (), "losses": (None,) * count, **steps}
    return Recording(Steps(count, **values), Flow(()), Losses(()), Modes((), ()), Numbers(), Declared(), seconds=0.25)


class World:
    """Builds the training, calls each step once, and gives the recording it was made with."""

    def __init__(self, recorded: Recording | Exception, changed: tuple[str, ...] = ()) -> None:
        self.recorded, self.changed = recorded, changed
        self.subject: Training | None = None
        self.error: Exception | None = None
        self.runs = 0
        self.missing: dict[str, Open | NotApplicable] = {}
        self.own_words: tuple[tuple[str, str], ...] = ()

    def recording(self) -> Recording:
        self.runs += 1
        if isinstance(self.recorded, Exception):
            raise self.recorded
        if self.subject is not None:
            try:
                for step in self.subject.steps.values():
                    step(*([self.subject.batch] if self.subject.has_batch else []))
            except Exception as error:
                self.error = error
        return self.recorded

    def raised(self) -> BaseException | None:
        return self.error

    def fingerprint_changes(self) -> tuple[str, ...]:
        return self.changed

    def describe(self) -> dict[str, str]:
        return {"framework": "fake 1.0"}

    def gaps(self) -> dict[str, Open | NotApplicable]:
        return self.missing

    def words(self) -> tuple[tuple[str, str], ...]:
        return self.own_words


def backend(world: World) -> dict[str, ModuleType]:
    """The modules of a backend that opens this world, by the names to import them under."""
    module, state = ModuleType("fake_backend"), ModuleType("fake_backend.state")

    @contextmanager
    def open_world(subject: Any, *, seed: int, steps: int) -> Iterator[World]:
        world.subject = subject if isinstance(subject, Training) else subject()
        yield world

    @contextmanager
    def live(steps: int) -> Iterator[World]:
        yield world

    vars(module).update(open_world=open_world, live=live)
    vars(state).update(seed=lambda value: None, global_state=dict, restore_global=lambda before: ())
    parts = ModuleType("fake_backend.parts")
    vars(parts)["step"] = lambda model, loss, optimizer: lambda pair: loss(model(pair[0]), pair[1])
    modules = {each.__name__: each for each in (module, state, parts)}
    return {"fake_framework": module, **modules}


def made(judge: Callable[..., Any], *, severity: Any = "defect", **keywords: Any) -> Check:
    """A check of a function."""
    return check(severity=severity, since="0.1", **keywords)(judge)
