"""Statistics: what the user's own NNX modules keep beside their parameters, and whether their mode can be set.

Only NNX modules have a mode that can be set from outside; where a flag of another kind may say it, nothing is tried.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from smokestep.backends.jax import frames, trees
from smokestep.backends.jax.cells import Turn
from smokestep.backends.jax.lab.keeping import Kept
from smokestep.findings import Open

LARGE = 1 << 24  # entries; a larger array is no statistic
SET = frozenset({"deterministic", "use_running_average", "training"})  # what the lab sets, as `eval()` does
FLAG = re.compile(r"train|eval|infer|determin|running|mode|update|step", re.IGNORECASE)
NO_MODE = Open("what a call leaves in its model is tried for NNX modules alone, whose mode can be set from outside")
OTHER_FLAG = Open("what says that the model is evaluated is a flag of its own, which cannot be set from outside")


def untried(kept: Kept) -> Open | None:
    """Why it cannot be judged whether this training's models go on averaging, None if it can."""
    if not any(True for _ in _modules(kept)):
        return NO_MODE
    if not statistics(kept):
        return None
    for _, module in _modules(kept):
        own = {name for name, value in vars(module).items() if isinstance(value, bool)} - SET
        given = inspect.signature(type(module).__call__).parameters if _users(type(module)) else ()
        if any(FLAG.search(name) for name in (*own, *given)) and _users(type(module)):
            return OTHER_FLAG
    return None


def statistics(kept: Kept) -> dict[str, Any]:
    """The variables that the user's own modules keep beside their parameters and keys, by name."""
    from flax import nnx

    found: dict[str, Any] = {}
    for path, module in _modules(kept):
        for name, each in vars(module).items() if _users(type(module)) else ():
            plain = isinstance(each, nnx.Variable) and not isinstance(each, (nnx.Param, nnx.RngState))
            array = each.get_raw_value() if plain else None
            if trees.is_array(array) and "float" in str(array.dtype) and 1 < array.size <= LARGE:
                found[".".join((*path, name))] = each
    return found


def moved(kept: Kept, turns: Sequence[Turn]) -> tuple[str, ...]:
    """Those of them that the recorded steps moved: of the others none is an average."""
    own = statistics(kept)
    found: set[str] = set()
    for path, before in ((path, each) for turn in turns for path, each in turn.before.items()) if own else ():
        name = next((name for name in own if f".{'.'.join(path)}".endswith(f".{name}")), None)
        if name is not None and any(path in turn.after and not _same(before, turn.after[path]) for turn in turns):
            found.add(name)
    return tuple(name for name in own if name in found)


def _same(one: Any, other: Any) -> bool:
    return one is other or np.array_equal(np.asarray(one), np.asarray(other))


def _modules(kept: Kept) -> Iterator[tuple[tuple[str, ...], Any]]:
    for living in kept.living():
        if trees.is_keras(living):
            continue
        from flax import nnx

        if isinstance(living, nnx.Optimizer):
            continue
        for path, node in nnx.iter_graph(living):
            if isinstance(node, nnx.Module):
                yield tuple(str(each) for each in path), node


def _users(kind: type) -> bool:
    """Whether a class, and how it is called, is the user's."""
    called = next((vars(each)["__call__"] for each in kind.__mro__ if "__call__" in vars(each)), kind.__init__)
    code = getattr(inspect.unwrap(called), "__code__", None)
    return code is not None and frames.kind_of_file(code.co_filename) != frames.SKIP
