"""Variants: a traced program made ready to run once for each way that its `cond`s went.

Which branches are taken is first guessed from the last run, and asked of the program where that is not known. What ran
says which branches it took: an answer counts only if those were the ones that were opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from smokestep.backends.jax.quickly import quickly
from smokestep.backends.jax.sketch import Key, Plain, Sketch, sketch

MOST = 8  # variants of one program
ROUNDS = 8  # tries in one call: the conds within conds are known one level a round
PRINTS = frozenset({"DebugEffect", "OrderedDebugEffect"})


@dataclass(slots=True)
class Program:
    """One traced program. `ready` makes of a sketch what runs it: it gives an answer, and the branches it took."""

    closed: Any
    ready: Callable[[Sketch], Callable[[Sequence[Any]], tuple[Any, dict[Key, int]]]]
    variants: dict[frozenset[tuple[Key, int]], Variant] = field(default_factory=dict)
    last: Mapping[Key, int] = field(default_factory=dict)

    @property
    def plain(self) -> Sketch:
        """The sketch in which no branch is known to be taken."""
        return self._variant({}).sketch

    def __call__(self, arguments: Sequence[Any]) -> Any:
        """Run it: the answer of the variant whose branches were taken, of the plain one where none is found."""
        guess = self.last
        for _ in range(ROUNDS if not _acts(self.closed) else 0):
            if frozenset(guess.items()) not in self.variants and len(self.variants) >= MOST:
                break
            variant = self._variant(guess)
            if variant.conds - set(guess):
                guess = variant.scout(arguments)
                continue
            answer, taken = variant.run(arguments)
            if taken == {key: guess[key] for key in variant.conds}:
                self.last = guess
                return answer
            guess = {}
        return self._variant({}).run(arguments)[0]

    def _variant(self, choices: Mapping[Key, int]) -> Variant:
        which = frozenset(choices.items())
        if which not in self.variants:
            self.variants[which] = Variant(sketch(self.closed, choices), self.ready)
        return self.variants[which]


class Variant:
    """A program with some branches opened. What runs it is made when it is first wanted."""

    def __init__(self, found: Sketch, ready: Callable[[Sketch], Any]) -> None:
        self.sketch, self._ready = found, ready
        self.conds = frozenset(self._keys())
        self._run: Any = None
        self._scout: Any = None

    def run(self, arguments: Sequence[Any]) -> Any:
        """Run it, measured."""
        if self._run is None:
            self._run = self._ready(self.sketch)
        return self._run(arguments)

    def scout(self, arguments: Sequence[Any]) -> dict[Key, int]:
        """The branches that its conds take, and nothing else."""
        if self._scout is None:
            self._scout = jax.jit(self._indices, compiler_options=quickly(self.sketch))
        return dict(zip(self._keys(), (int(np.asarray(each)) for each in self._scout(*arguments)), strict=True))

    def _keys(self) -> list[Key]:
        inner = [key for step in self.sketch.steps if step.body is not None for key in step.body.conds]
        return [*self.sketch.conds, *inner]

    def _indices(self, *given: Any) -> list[Any]:
        env = self.sketch.run(given)
        found = [env[value] for value in self.sketch.conds.values()]
        for step in self.sketch.steps:
            if step.body is not None and step.body.conds:
                inner = step.body.run([each.value if isinstance(each, Plain) else env[each] for each in step.reads])
                found += [inner[value] for value in step.body.conds.values()]
        return found


def _acts(closed: Any) -> bool:
    """Whether a program does something besides computing and printing, so that it may run only once."""
    return any(type(each).__name__ not in PRINTS for each in closed.effects)
