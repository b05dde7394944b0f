"""The frameworks that can be watched. A backend is imported only if the user's code imported its framework.

Which framework a training belongs to is read off what it holds; no framework is imported for the question.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from smokestep import privacy
from smokestep.world import NotOffered

if TYPE_CHECKING:
    from smokestep.evidence.lab import Lab
    from smokestep.evidence.loaders import Loader
    from smokestep.findings import NotApplicable, Open
    from smokestep.training import Training
    from smokestep.world import Live, Recording

# The package that a class comes from -> the framework whose backend examines it. Keras says itself what it runs on.
PACKAGES = {
    **dict.fromkeys(("torch",), "torch"),
    **dict.fromkeys(("jax", "jaxlib", "flax", "optax", "equinox", "haiku", "chex"), "jax"),
    **dict.fromkeys(("tensorflow", "tf_keras", "tf_slim"), "tensorflow"),
}


def framework_of(training: Training, among: Collection[str]) -> str | None:
    """Which of these frameworks a training belongs to; None if nothing that it holds says so.

    What it declares (models, optimizers, state) says it first, then what its steps mention, then its batch.
    """
    declared = (*training.model.values(), *training.optimizer.values(), training.state)
    return (
        framework_in(declared, among)
        or framework_in(tuple(training.steps.values()), among)
        or framework_in((training.batch,), among)
    )


def framework_in(things: Sequence[Any], among: Collection[str]) -> str | None:
    """The framework, of these, that most of what is found in these things comes from."""
    votes = Counter(each for thing in things for each in _frameworks(thing, set()) if each in among)
    return max(votes, key=lambda each: votes[each]) if votes else None


def sole_framework(things: Sequence[Any], among: Collection[str]) -> str | None:
    """The framework, of these, that these things mention, if they mention no other of them."""
    found = {each for thing in things for each in _frameworks(thing, set()) if each in among}
    return found.pop() if len(found) == 1 else None


def module_for(things: Sequence[Any], name: str) -> ModuleType:
    """A module of the backend whose framework these things come from, else of the first that is loaded.

    Raises `RuntimeError` if no framework is.
    """
    loaded = privacy.loaded()
    if not loaded:
        raise RuntimeError(f"no framework to observe: import one of {', '.join(privacy.BACKENDS)} first")
    return import_module(f"{loaded[framework_in(things, loaded) or next(iter(loaded))]}.{name}")


def _frameworks(thing: Any, seen: set[int], depth: int = 5) -> Iterator[str]:
    if id(thing) in seen or depth == 0:
        return
    seen.add(id(thing))
    classes = [thing.__name__] if isinstance(thing, ModuleType) else [each.__module__ for each in type(thing).__mro__]
    roots = [name.partition(".")[0] for name in classes if isinstance(name, str)]
    found = next((PACKAGES[root] for root in roots if root in PACKAGES), None)
    if found is None and "keras" in roots and (keras := sys.modules.get("keras")):
        found = keras.config.backend()
    if found is not None:
        yield found
    if isinstance(thing, Mapping):
        inner: Sequence[Any] = list(thing.values())[:50]
    elif isinstance(thing, (list, tuple)):
        inner = thing[:50]
    else:
        inner = list(_mentioned(thing))
    for each in inner:
        yield from _frameworks(each, seen, depth - 1)


def _mentioned(thing: Any) -> Iterator[Any]:
    """What a function closes over, is bound to and finds among its globals; what a plain object holds."""
    while isinstance(thing, partial):
        yield from (*thing.args, *thing.keywords.values())
        thing = thing.func
    thing = getattr(thing, "__wrapped__", thing)
    if (owner := getattr(thing, "__self__", None)) is not None and not isinstance(owner, ModuleType):
        yield owner
    code = getattr(thing, "__code__", None)
    for cell in getattr(thing, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    variables = getattr(thing, "__globals__", {})
    yield from (variables[name] for name in getattr(code, "co_names", ()) if name in variables)
    plain = not isinstance(thing, (type, ModuleType)) and type(thing).__module__ not in sys.builtin_module_names
    if code is None and plain:
        yield from list(getattr(thing, "__dict__", {}).values())[:50]


class Unseen(NotOffered):
    """Nothing of a training was seen by this backend: it is another's, or there was none."""


class Several:
    """Watches over a loop by several backends: what the one saw that saw the most backward passes."""

    def __init__(self, lives: Sequence[Live]) -> None:
        self._lives = tuple(lives)

    def _chosen(self) -> Live:
        def seen(live: Live) -> float:
            try:
                steps = live.recording().steps
                nothing = all(event.kind == "step" for event in steps.events)
                return -2.0 if nothing else len(steps.of("backward"))
            except Unseen:  # it says why, so it is asked before one that saw nothing
                return -1.0
            except Exception:  # it saw more than nothing, and tells why it cannot say what
                return 0.5

        return max(self._lives, key=seen)

    def recording(self) -> Recording:
        """What was recorded so far."""
        return self._chosen().recording()

    def lab(self) -> Lab:
        """Where the recorded model calls can be made again."""
        return self._chosen().lab()

    def loaders(self) -> tuple[Loader, ...]:
        """What two workers would draw, of every backend's data loaders: one framework may read for another."""
        return tuple(loader for live in self._lives for loader in live.loaders())

    def describe(self) -> Mapping[str, str]:
        """The framework that ran the loop, and its version."""
        return self._chosen().describe()

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """The checks that cannot be judged in that framework."""
        return self._chosen().gaps()

    def words(self) -> Sequence[tuple[str, str]]:
        """The words of that framework."""
        return self._chosen().words()
