"""Testing, for those who add to smokestep: runs the examples on a check's page, and holds a backend to the facts.

An example runs as a user's own file would: its source lies in a real file while it runs, so lines can be shown.
"""

from __future__ import annotations

import linecache
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from smokestep.check import Check, CheckError
from smokestep.engine import examine
from smokestep.findings import Line
from smokestep.privacy import guard, seed_everything
from smokestep.report import Report
from smokestep.training import Training
from smokestep.world import Recording

HEADINGS = ("What it finds", "Why it matters", "Bad", "Good", "When to allow it", "Source")
PRELUDE = """\
import torch, smokestep
from torch import nn
import torch.nn.functional as F
"""
_EXAMPLE = re.compile(r"^## (Bad|Good)\n.*?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(check: Check) -> dict[str, str]:
    """The code under `## Bad` and under `## Good` on the page of a check.

    Raises `CheckError` if a heading of the page is missing, or out of order, or one of the two holds no code.
    """
    found = tuple(re.findall(r"^## (.+)$", check.page, re.MULTILINE))
    if found != HEADINGS:
        raise CheckError(f"{check.name}: its page must have the headings {HEADINGS}, in this order; it has {found}")
    code: dict[str, str] = dict(_EXAMPLE.findall(check.page))
    if set(code) != {"Bad", "Good"}:
        raise CheckError(f"{check.name}: both `## Bad` and `## Good` need a ```python block")
    return code


def run_example(code: str, name: str, **choices: Any) -> Report:
    """Examine the function `training` that `code` defines, as a file called `name`.py; `choices` are `examine`'s."""
    with _file(code, name) as module:
        if not callable(getattr(module, "training", None)):
            raise ValueError(f"the example {name} must define a function `training` that returns a smokestep.Training")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some examples do what their framework warns of
            return examine(module.training, **choices)


def inside(line: Line | None, name: str) -> bool:
    """Whether a line lies in the example called `name`."""
    return line is not None and Path(line.file).name == f"{name}.py"


def conformance(backend: Any, plain: Callable[[], Training], unused: Callable[[], Training]) -> tuple[str, ...]:
    """The facts that a backend gets wrong, in words; empty when it conforms.

    `backend` is a module with `open_world`, and `LOOP` if a step does not consist of clearing the gradients, one
    forward, one backward and one update. `plain` builds a healthy training whose step does this; `unused` builds one
    whose model also holds a parameter called "unused" that no operation reads.
    """
    first, again, other = (_recorded(backend, plain, seed) for seed in (0, 0, 1))
    dead = _recorded(backend, unused, 0)
    given = plain()
    with backend.open_world(given, seed=0, steps=3) as world:
        world.recording()
    expected = list(getattr(backend, "LOOP", ("zero_grad", "forward", "backward", "update")))
    loop = [event.kind for event in first.steps.events if event.kind in ("zero_grad", "forward", "backward", "update")]
    order = [event.index for event in first.steps.events]
    mine = [move for move in dead.steps.movements if move.parameter.rpartition(".")[2] == "unused"]
    rest = [move for move in dead.steps.movements if move not in mine]
    graph = dead.flow.graphs[0]
    used = graph.backward_of(graph.roots)
    facts = {
        "three steps were asked for, and three recorded": first.steps.count == 3 == len(first.flow.graphs),
        "the same seed gives the same evidence": replace(first, seconds=0.0) == replace(again, seconds=0.0),
        "another seed gives other losses": first.steps.losses != other.steps.losses,
        "every loss is known": None not in first.steps.losses,
        "the events of a step come in the order they happened": loop == expected * 3,
        "every event is numbered after the one before it": order == sorted(set(order)),
        "every event of the loop has a line": all(e.line for e in first.steps.of("forward", "backward", "update")),
        "an unused parameter is there": len(mine) == 3,
        "an unused parameter receives no gradient": all(move.received is None for move in mine),
        "an unused parameter stands still": all(move.update == 0.0 for move in mine),
        "an unused parameter reaches no loss": not any(
            value.id in used for value in graph.values.values() if value.name.rpartition(".")[2] == "unused"
        ),
        "a used parameter receives a gradient and moves": all(move.received and move.update for move in rest),
        "a used parameter reaches the loss": {value.name for value in graph.sources("parameter") if value.id in used}
        == {move.parameter for move in rest},
        "living objects are put back as they were": not world.fingerprint_changes(),
    }
    return tuple(fact for fact, holds in facts.items() if not holds)


def _recorded(backend: Any, factory: Callable[[], Training], seed: int) -> Recording:
    with guard():
        seed_everything(seed)
        with backend.open_world(factory, seed=seed, steps=3) as world:
            recording: Recording = world.recording()
            return recording


@contextmanager
def _file(code: str, name: str) -> Iterator[ModuleType]:
    with tempfile.TemporaryDirectory(prefix="smokestep-example-") as folder:
        path = Path(folder).resolve() / f"{name}.py"
        path.write_text(code, encoding="utf-8")
        module = ModuleType(name)
        module.__file__ = str(path)
        exec(PRELUDE, vars(module))
        sys.modules[name] = module
        try:
            exec(compile(code, str(path), "exec"), vars(module))
            yield module
        finally:
            del sys.modules[name]
            # The report may be shown when the file is gone; an entry without a time is kept as it is.
            linecache.cache[str(path)] = (len(code), None, code.splitlines(keepends=True), str(path))
