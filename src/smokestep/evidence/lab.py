"""Lab: the verbs of the experiments, which a world lends after its recording.

Handles are opaque and results scalars; what a backend cannot do it says by raising `NotOffered` with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from smokestep.evidence.alignment import Alignment
from smokestep.evidence.caching import Decoding
from smokestep.evidence.roundtrip import Rebuilt, Resumed, Trip
from smokestep.evidence.slopes import Sloped
from smokestep.evidence.switching import Switched
from smokestep.evidence.trials import Difference, Edit, Outcome, Reply, Stepped, Tensor, Touch, Trial
from smokestep.evidence.ways import Way


class Lab(Protocol):
    """Experiments on the recorded model calls, after the recording: each is made again with its arguments edited.

    Nothing is trained, and whatever a trial changes (buffers, attributes, modes, random generators) is put back, so
    that every trial begins alike.
    """

    def trials(self) -> tuple[Trial, ...]:
        """The calls that can be made again."""
        ...

    def run(
        self, trial: int, edits: Sequence[Edit] = (), *, training: bool = False, seed: int = 0, losses: bool = False
    ) -> Outcome:
        """Make a call again, in evaluation mode unless `training`, with all random generators seeded.

        What the user's code raises is told in the outcome. `losses`: also keep what losses inside were given;
        automatic casting is then left out, where it runs without.
        """
        ...

    def aligned(self) -> tuple[Alignment, ...]:
        """The losses whose target is an argument of the model, shifted in time."""
        ...

    def apart(
        self, aligned: Alignment, one: Outcome, other: Outcome, *, sample: int, samples: int
    ) -> tuple[Difference, bool] | None:
        """How far two outcomes (made with `losses`) of so many `samples` differ in the rows of one of them that a loss
        was given, and whether they differ in any other; None where the rows are not to be found."""
        ...

    def differences(
        self, one: Outcome, other: Outcome, *, dim: int = 0, at: Sequence[int] | None = None
    ) -> tuple[Difference | None, ...]:
        """For each output, how far the two differ at every index of `dim`; of `other` the indices `at` are taken.

        None for an output that `dim` does not fit, or whose shape differs.
        """
        ...

    def trail(
        self, trial: int, edits: Sequence[Edit], nudged: Sequence[Edit], *, seeds: tuple[int, int] = (0, 0)
    ) -> tuple[Touch, ...]:
        """Make a call twice, with `edits` and with `nudged`: the operations whose inputs or results differ."""
        ...

    def stray(self, trial: int, edits: Sequence[Edit], size: int) -> Touch | None:
        """Make a call whose `size` samples are alike: the first operation that gives unlike rows for alike ones."""
        ...

    def decoded(self, trial: int) -> Decoding | None:
        """A model that takes a cache, decoded with it and without; None for one that takes none."""
        ...

    def averages(self, trial: int, edits: Sequence[Edit] = ()) -> tuple[str, ...]:
        """Make a call three times in a row, in evaluation mode: the buffers and tensor attributes that move each time
        by the same fraction towards something, if the last output is then another one."""
        ...

    def modes(self, trial: int) -> Switched:
        """Which layers follow when the model of a call is put into training and into evaluation mode."""
        ...

    def round_trip(self, trial: int) -> Trip:
        """Save the model of a call, load it into one built afresh with another seed, and compare their outputs."""
        ...

    def resume(self) -> Resumed:
        """Train, save and train on, and go on in a training built afresh that loads what was saved."""
        ...

    def rebuilt(self) -> Rebuilt:
        """Build the training twice with one seed, and make one step of each."""
        ...

    def beside(
        self, trial: int, edits: Sequence[Edit], longer: Sequence[Edit], *, size: int, kept: Sequence[int], by: float
    ) -> tuple[Touch, ...]:
        """Make a call over shorter and over longer sequences: the operations that differ where both have entries.

        The shorter have the entries `kept` of the `size` that the longer have. Numbers differ when they are more than
        `by` roundings of their scale apart. The indices of a `Touch` are not told, only that something differs.
        """
        ...

    def entries(self, name: str, edits: Sequence[Edit] = (), *, trial: int | None = None) -> tuple[float, ...]:
        """The entries of an argument of a trial, else of a tensor of the batch, edited; none if there are too many."""
        ...

    def attributes(self, trial: int, name: str) -> tuple[tuple[str, float], ...]:
        """The numbers that modules of a trial's model keep under this name: (path, number)."""
        ...

    def batch(self) -> tuple[Tensor, ...]:
        """The tensors of the training's batch, under the names that edits use. Raises `NotOffered` as `dry` does."""
        ...

    def dry(self, edits: Sequence[Edit] = (), *, step: str = "", seed: int = 0, reply: Reply | None = None) -> Stepped:
        """Run one step of the training on an edited batch up to its losses: backward and updates are left out, dropout
        drops nothing, a model may be made to answer with `reply`. Raises `NotOffered` where the step is not ours to
        run, or has no batch to edit."""
        ...

    def functions(self) -> tuple[Sloped, ...]:
        """Every custom function with a backward of its own, tried alone against finite differences."""
        ...

    def slopes(self, trial: int) -> Sloped:
        """The model of a call tried as a whole against finite differences, in a copy."""
        ...

    def ways(self) -> tuple[Way, ...]:
        """Where the training is compiled, or its optimizer fused: one step as written against one plain step."""
        ...

    def fresh(self, *, seed: int = 0) -> AbstractContextManager[Fresh]:
        """A training to be trained for real: built afresh, else the one at hand, put back at the end of the block."""
        ...


class Fresh(Protocol):
    """A training that an experiment may train."""

    def step(self, edits: Sequence[Edit] = (), *, name: str = "") -> Stepped:
        """Run one step for real, on an edited batch."""
        ...

    def travelled(self) -> float:
        """How far the trained weights are from where they began: the norm of the way, as a share of theirs."""
        ...

    def along(self, share: float) -> None:
        """Put the weights at this share of the way that the first step took, and the generators where it found them."""
        ...
