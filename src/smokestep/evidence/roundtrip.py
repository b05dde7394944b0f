"""Round trip: what a model, and a whole training, are after they were saved and loaded into a training built afresh.

What is missing is proven: put in place by hand, the two are equal again; and without each single piece they are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from smokestep.evidence.trials import Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Lost:
    """One tensor or number that decides about the result and that no state_dict holds, by name.

    `origin`: drawn (by the model's own code when it is built, at `line`) · changed (by training) · made (otherwise:
    from the data, for instance) · passing (it has a row for each sample: a hidden state, a cache).
    `owner`: the class of what has a state_dict that leaves it out, "" if there is none, and its `kind`: optimizers and
    schedulers are made to be resumed from theirs.
    """

    name: str
    origin: Literal["drawn", "changed", "made", "passing"]
    line: Line | None = None
    owner: str = ""
    kind: Literal["module", "optimizer", "other"] = "other"
    tensor: bool = True


@dataclass(frozen=True, slots=True)
class Trip:
    """What became of one model. `apart`: by which part of its scale the output differs. `skipped`: why nothing could
    be seen; `refused`: what saving or strict loading raised."""

    model: str
    line: Line | None = None
    apart: float = 0.0
    lost: tuple[Lost, ...] = ()
    refused: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """What became of every model, in order of their first call."""

    experiment: ClassVar[str] = "each model saved, and loaded into one that is built with another seed"
    models: tuple[Trip, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> RoundTrips:
        """By building the training twice, and some calls of each model."""
        lab = world.lab()
        return cls(tuple(lab.round_trip(trial.index) for trial in of(Trials).of_models()))


@dataclass(frozen=True, slots=True)
class Resumed:
    """What became of the training when it was saved after some steps and went on in one built afresh.

    `apart`: the largest difference of a trained parameter, then. `steps`: how many went on. `loose`: what only the step
    itself keeps, which no state_dict could hold.
    """

    experiment: ClassVar[str] = "a training saved after two steps, and resumed in one built afresh"
    steps: int = 0
    apart: float = 0.0
    lost: tuple[Lost, ...] = ()
    loose: tuple[str, ...] = ()
    skipped: str = ""

    @classmethod
    def gather(cls, world: World, of: Of) -> Resumed:
        """By building the training some times, and four steps of each."""
        return world.lab().resume()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Two trainings built with the same seed, and one step of each.

    `tensors`, `generators`: names of what differs between them before the step; `parameters`: trained parameters that
    differ after it; `losses`: the two losses, where they differ. `unseeded`: calls that asked the system for a seed,
    with their lines.
    """

    experiment: ClassVar[str] = "the training built twice with one seed, and one step of each"
    tensors: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    losses: tuple[float, ...] = ()
    unseeded: tuple[tuple[str, Line | None], ...] = ()
    skipped: str = ""

    @classmethod
    def gather(cls, world: World, of: Of) -> Rebuilt:
        """By building the training twice."""
        return world.lab().rebuilt()
