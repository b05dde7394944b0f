"""Caching: whether a model that takes a cache decodes with it, token by token, as it does without.

At every position the last scores of the whole beginning, computed anew, are compared with those of one token and the
cache of what came before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.trials import Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Decoding:
    """One model decoded in two ways. `skipped` is the reason where it was not, all else is then empty.

    `cache` and `argument`: the parameters of forward for the cache and the tokens. `apart`: at every position the
    largest difference, relative to the largest score. `eps`: the relative rounding of its numbers. `grows`: what it
    returns as its cache has one position more after every token. `op`, `line`: the first operation that gives something
    else with the cache.
    """

    model: str
    skipped: str = ""
    cache: str = ""
    argument: str = ""
    apart: tuple[float, ...] = ()
    eps: float = 0.0
    grows: bool = False
    op: str = ""
    line: Line | None = None
    definition: Line | None = None
    installed: bool = False


@dataclass(frozen=True, slots=True)
class Caching:
    """The models that take a cache, each decoded in two ways."""

    experiment: ClassVar[str] = "six tokens decoded with the cache and without"
    models: tuple[Decoding, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Caching:
        """By at most six short calls with the cache and six without."""
        lab = world.lab()
        found = (lab.decoded(trial.index) for trial in of(Trials).of_models())
        return cls(tuple(each for each in found if each is not None))
