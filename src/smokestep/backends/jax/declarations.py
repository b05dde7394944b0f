"""Declarations: what the user promised in `Training`, turned into full names."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from smokestep.backends.jax import trees
from smokestep.config import ConfigError
from smokestep.evidence.declared import Declared
from smokestep.evidence.steps import Movement

Path = tuple[str, ...]


def resolve(
    things: Iterable[Any], word: str, leaves: Mapping[Path, trees.Leaf], known: Mapping[Path, str]
) -> frozenset[str]:
    """The full names that these names, patterns, arrays, trees or NNX objects stand for."""
    everything = set(known.values())
    found: set[str] = set()
    by_array = {id(leaf.value): known[path] for path, leaf in leaves.items() if path in known}
    by_holder = {id(leaf.holder): known[path] for path, leaf in leaves.items() if path in known}
    for thing in things:
        if isinstance(thing, str):
            parts = tuple(thing.split("."))
            hit = {n for n in everything if n == thing or n.startswith(thing + ".") or fnmatch.fnmatchcase(n, thing)}
            hit |= {name for path, name in known.items() if _within(parts, path)}
            if not hit:
                raise ConfigError(
                    f"{word}: {thing!r} matches no parameter or statistic; "
                    f"there are: {', '.join(sorted(everything)[:20])}"
                )
            found |= hit
            continue
        mine = [by_array[id(leaf.value)] for leaf in trees.leaves(thing) if id(leaf.value) in by_array]
        mine += [by_holder[id(each)] for each in getattr(thing, "variables", ()) if id(each) in by_holder]
        if not mine:
            raise ConfigError(
                f"{word}: expected a name, a pattern, or an array, tree or module of this training, "
                f"got {type(thing).__name__}"
            )
        found.update(mine)
    return frozenset(found)


def _within(parts: Path, path: Path) -> bool:
    """Whether a name is a part of the path of a leaf: "generator" of ("generator", "Dense_0", "kernel")."""
    return any(path[at : at + len(parts)] == parts for at in range(len(path)))


def everywhere(training: Any, leaves: Mapping[Path, trees.Leaf], known: Mapping[Path, str]) -> frozenset[str]:
    """The names that `trains` declares for any step."""
    declared = getattr(training, "trains", None) or {}
    return frozenset(name for things in declared.values() for name in resolve(things, "trains", leaves, known))


def declared(
    training: Any,
    leaves: Mapping[Path, trees.Leaf],
    known: Mapping[Path, str],
    order: Sequence[str],
    movements: Sequence[Movement],
    statistics: set[str],
) -> Declared:
    """The declarations beside what each step really changed."""
    if training is None:
        return Declared()
    changed: dict[str, set[str]] = {name: set() for name in order}
    kept: dict[str, set[str]] = {name: set() for name in order}
    for move in movements:
        if move.update != 0.0 and move.step < len(order):
            (kept if move.parameter in statistics else changed)[order[move.step]].add(move.parameter)
    return Declared(
        trains={step: resolve(things, "trains", leaves, known) for step, things in training.trains.items()},
        untouched={step: resolve(things, "untouched", leaves, known) for step, things in training.untouched.items()},
        changed={name: frozenset(each) for name, each in changed.items()},
        changed_statistics={name: frozenset(each) for name, each in kept.items()},
        order=tuple(order),
        task=training.task,
        causal=training.causal,
        batch_dim=training.batch_dim,
    )


def batch_arrays(value: Any, name: str = "batch", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The arrays of a batch, each with its path in it."""
    if trees.is_array(value):
        yield name, value
    elif depth < 4 and isinstance(value, Mapping):
        for key, each in value.items():
            yield from batch_arrays(each, f"{name}[{key!r}]", depth + 1)
    elif depth < 4 and isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, each in zip(value._fields, value, strict=True):
            yield from batch_arrays(each, f"{name}.{key}", depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from batch_arrays(each, f"{name}[{index}]", depth + 1)
    elif depth < 4 and hasattr(value, "__dataclass_fields__"):
        for key in value.__dataclass_fields__:
            yield from batch_arrays(getattr(value, key, None), f"{name}.{key}", depth + 1)
