"""Privacy: the global state of Python, NumPy and the loaded frameworks, seeded for a run and put back after it.

Put back on every way out, KeyboardInterrupt included; what had been changed is told by name.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

# framework module -> the backend that knows it, in order of preference
BACKENDS = {each: f"smokestep.backends.{each}" for each in ("torch", "jax", "tensorflow")}


def loaded() -> dict[str, str]:
    """The frameworks that are imported already, with the name of their backend's module; nothing is imported for it."""
    return {framework: backend for framework, backend in BACKENDS.items() if framework in sys.modules}


def _states() -> dict[str, ModuleType]:
    """The modules that know each framework's global state; one whose backend refuses its version is left alone."""
    found = {}
    for framework, backend in loaded().items():
        with contextlib.suppress(ImportError, AttributeError):
            found[framework] = import_module(f"{backend}.state")
    return found


def seed_everything(seed: int) -> tuple[str, ...]:
    """Seed Python, NumPy (modulo 2**32, its limit) and every imported framework; gives the names of what was seeded."""
    random.seed(seed)
    seeded = ["Python"]
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
        seeded.append("NumPy")
    for framework, state in _states().items():
        state.seed(seed)
        seeded.append(framework)
    return tuple(seeded)


def reset() -> None:
    """Forget what a framework keeps for the process (names that are counted on, a default graph), where it does."""
    for state in _states().values():
        if forget := getattr(state, "reset", None):
            forget()


@contextmanager
def apart() -> Iterator[None]:
    """A block that leaves nothing in what a framework keeps for the process (a default graph), where it does."""
    with ExitStack() as stack:
        for state in _states().values():
            if aside := getattr(state, "apart", None):
                stack.enter_context(aside())
        yield


@dataclass(slots=True)
class Leaks:
    """What a guarded block left changed, by name ("default dtype", "torch RNG"); filled when the block ends."""

    names: tuple[str, ...] = ()

    @property
    def settings(self) -> tuple[str, ...]:
        """The names without those of random generators, which every training moves."""
        return tuple(name for name in self.names if not name.endswith(" RNG"))


def _plain(state: Any) -> tuple[Any, ...]:
    """A state of NumPy's generator in a form that compares; its `repr` would take a hundred times as long."""
    return tuple(each.tobytes() if hasattr(each, "tobytes") else each for each in state)


@contextmanager
def guard(*, settings: bool = True) -> Iterator[Leaks]:
    """Put the global state back at the end of the block, also when it raises; the value says what had changed.

    With `settings=False` only the random generators are put back.
    """
    leaks = Leaks()
    python = random.getstate()
    numpy = sys.modules.get("numpy")
    array = numpy.random.get_state() if numpy else None
    frameworks: dict[str, tuple[ModuleType, Any]] = {
        name: (state, state.global_state()) for name, state in _states().items()
    }
    try:
        yield leaks
    finally:
        names = []
        if random.getstate() != python:
            random.setstate(python)
            names.append("Python RNG")
        if numpy and _plain(numpy.random.get_state()) != _plain(array):
            numpy.random.set_state(array)
            names.append("NumPy RNG")
        for state, before in frameworks.values():
            if not settings:
                generators = {name: value for name, value in before.items() if name.endswith(" RNG")}
                before = {**state.global_state(), **generators}
            names += state.restore_global(before)
        leaks.names = tuple(names)
