"""Loaders: what the worker processes of each data loader would start from, tried on copies and without processes.

Copies of the data set are asked for one sample each, as two workers would ask them; it is itself left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.findings import Line
from smokestep.world import NotOffered

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Owned:
    """A random generator that belongs to a data set, or to what it uses, and so is copied into each worker.

    `path`: where it is, from the data set; `kind`: its class; `line`: where it is assigned. `repeats`: a sample drew
    from it, both workers' generators came from the same state to the same state, and from another state to another one.
    """

    path: str
    kind: str
    repeats: bool
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Loader:
    """One data loader with two or more workers. `line`: where it was constructed; `persistent`: its workers live on
    from epoch to epoch; `iterable`: its data set is one (nothing is tried); `unknown`: why nothing could be tried."""

    dataset: str
    workers: int
    persistent: bool
    iterable: bool
    generators: tuple[Owned, ...] = ()
    line: Line | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Loaders:
    """Every data loader with two or more workers that was constructed or iterated while the recording ran."""

    loaders: tuple[Loader, ...] = ()

    @classmethod
    def gather(cls, world: World, of: Of) -> Loaders:
        """Tried now, after the recorded run. Raises `NotOffered` where the backend knows no data loaders."""
        if not hasattr(world, "loaders"):
            raise NotOffered("this backend does not see data loaders")
        return cls(world.loaders())
