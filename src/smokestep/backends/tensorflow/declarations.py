"""Declarations: what the user promised in `Training`, turned into full names."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow.python.framework import ops as tf_ops

from smokestep.backends.tensorflow.naming import layers_of
from smokestep.config import ConfigError
from smokestep.evidence.declared import Declared
from smokestep.evidence.steps import Movement

STATISTICS = ("moving_mean", "moving_variance")


class Declarations:
    """The declarations of one training (None: nothing is declared); `known` names every variable by identity."""

    def __init__(self, training: Any, known: Mapping[int, str], order: Sequence[str], models: Any) -> None:
        self.training, self.known, self.order, self.models = training, known, order, models

    def everywhere(self, word: str) -> frozenset[str]:
        """The names that `trains` or `untouched` declares for any step."""
        declared = getattr(self.training, word, None) or {}
        return frozenset(name for things in declared.values() for name in self.resolve(things, word))

    def resolve(self, things: Iterable[Any], word: str) -> frozenset[str]:
        """The full names that these names, patterns, variables, layers or optimizers stand for."""
        known = self.known
        everything = set(known.values())
        found: set[str] = set()
        for thing in things:
            plain = getattr(thing, "_value", thing)
            if isinstance(thing, str):
                hit = {
                    n for n in everything if n == thing or n.startswith(thing + ".") or fnmatch.fnmatchcase(n, thing)
                }
                if not hit:
                    raise ConfigError(
                        f"{word}: {thing!r} matches no variable; there are: {', '.join(sorted(everything)[:20])}"
                    )
                found |= hit
            elif id(plain) in known:
                found.add(known[id(plain)])
            elif hasattr(thing, "apply_gradients"):
                held = [getattr(each, "_value", each) for each in getattr(thing, "_trainable_variables", ())]
                found |= {known[id(each)] for each in held if id(each) in known}
            elif hasattr(thing, "weights"):
                weights = [getattr(each, "_value", each) for layer in layers_of(thing) for each in layer.weights]
                found |= {known[id(each)] for each in weights if id(each) in known}
            else:
                raise ConfigError(
                    f"{word}: expected a name, pattern, variable, layer or optimizer of this training, "
                    f"got {type(thing).__name__}"
                )
        return frozenset(found)

    def declared(self, movements: Sequence[Movement]) -> Declared:
        """The declarations beside what each step really changed."""
        if self.training is None:
            return Declared()
        order = tuple(self.order)
        changed: dict[str, set[str]] = {name: set() for name in order}
        statistics: dict[str, set[str]] = {name: set() for name in order}
        for move in movements:
            if move.update != 0.0 and move.step < len(order) and not move.parameter.endswith("seed_generator_state"):
                kept = statistics if move.parameter.rpartition(".")[2].startswith(STATISTICS) else changed
                kept[order[move.step]].add(move.parameter)
        return Declared(
            trains={step: self.resolve(things, "trains") for step, things in self.training.trains.items()},
            untouched={step: self.resolve(things, "untouched") for step, things in self.training.untouched.items()},
            changed={name: frozenset(each) for name, each in changed.items()},
            changed_statistics={name: frozenset(each) for name, each in statistics.items()},
            order=order,
            task=self.training.task,
            causal=self.training.causal,
            batch_dim=self.training.batch_dim,
        )


def batch_names(value: Any, name: str = "batch", depth: int = 0) -> Iterator[tuple[Any, str]]:
    """The tensors and arrays of a batch, each with its path in it."""
    if isinstance(value, (tf_ops.EagerTensor, np.ndarray)):
        yield value, name
    elif depth < 4 and isinstance(value, Mapping):
        for key, each in value.items():
            yield from batch_names(each, f"{name}[{key!r}]", depth + 1)
    elif depth < 4 and isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, each in zip(value._fields, value, strict=True):
            yield from batch_names(each, f"{name}.{key}", depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from batch_names(each, f"{name}[{index}]", depth + 1)
