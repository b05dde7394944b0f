"""Declarations: what the user promised in `Training`, turned into the full names of a graph's variables."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from smokestep.backends.tensorflow import graph_modes, graph_names
from smokestep.backends.tensorflow.graph_forward import Forward
from smokestep.backends.tensorflow.session_runs import Ran
from smokestep.config import ConfigError
from smokestep.evidence.declared import Declared
from smokestep.evidence.steps import Movement
from smokestep.training import Training


class Declarations:
    """The declarations of one training."""

    def __init__(self, training: Training, forwards: Sequence[Forward]) -> None:
        self.training, self.forwards = training, forwards

    def resolved(self, things: Iterable[Any]) -> frozenset[str]:
        """The full names that names, patterns, scopes or variables stand for."""
        every = {graph_names.dotted(name) for forward in self.forwards for name in forward.variables}
        found: set[str] = set()
        for thing in things:
            if isinstance(thing, (list, tuple)):
                found |= self.resolved(thing)
                continue
            text = thing if isinstance(thing, str) else getattr(getattr(thing, "op", None), "name", None)
            if not isinstance(text, str):
                raise ConfigError(f"expected the name, pattern or scope of variables, or a variable, got {thing!r}")
            name = graph_names.dotted(text)
            hit = {
                each for each in every if each == name or each.startswith(f"{name}.") or fnmatch.fnmatchcase(each, name)
            }
            if not hit:
                raise ConfigError(f"{text!r} matches no variable; there are: {', '.join(sorted(every)[:20])}")
            found |= hit
        return frozenset(found)

    def evidence(self, names: Sequence[str], movements: Sequence[Movement], runs: Sequence[Ran]) -> Declared:
        """The declarations beside what each step, of these names, really changed."""
        order = tuple(names)
        changed: dict[str, set[str]] = {name: set() for name in order}
        statistics: dict[str, set[str]] = {name: set() for name in order}
        for move in movements:
            if move.update != 0.0:
                changed[order[move.step]].add(move.parameter)
        for ran in runs:
            for name in ran.before:
                moving = name.endswith(graph_modes.STATISTICS) and name in ran.after
                if moving and not np.array_equal(ran.before[name], ran.after[name]):
                    statistics[order[ran.step]].add(graph_names.dotted(name))
        return Declared(
            trains={step: self.resolved(things) for step, things in self.training.trains.items()},
            untouched={step: self.resolved(things) for step, things in self.training.untouched.items()},
            changed={name: frozenset(each) for name, each in changed.items()},
            changed_statistics={name: frozenset(each) for name, each in statistics.items()},
            order=order,
            task=self.training.task,
            causal=self.training.causal,
            batch_dim=self.training.batch_dim,
        )
