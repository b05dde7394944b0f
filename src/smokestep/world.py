"""World: the verbs a backend offers, and what one recorded run yields.

The core sees a framework only through these protocols; handles are opaque, and whatever a backend cannot do it says by
raising `NotOffered` with the reason, which makes the checks that asked `open`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from smokestep.evidence.beginnings import Beginnings
from smokestep.evidence.declared import Declared
from smokestep.evidence.feeds import Feeds
from smokestep.evidence.flow import Flow
from smokestep.evidence.keys import Keys
from smokestep.evidence.loading import Loading
from smokestep.evidence.losses import Losses
from smokestep.evidence.modes import Modes
from smokestep.evidence.numbers import Numbers
from smokestep.evidence.randomness import Randomness
from smokestep.evidence.steps import Steps

if TYPE_CHECKING:
    from smokestep.evidence.lab import Lab
    from smokestep.evidence.loaders import Loader
    from smokestep.findings import NotApplicable, Open

T = TypeVar("T")


class NotOffered(Exception):
    """A backend cannot do what was asked; the text says why, in words for the user."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The evidence of one recorded run. `seconds` is the wall time of the steps themselves, recording included."""

    steps: Steps
    flow: Flow
    losses: Losses
    modes: Modes
    numbers: Numbers
    declared: Declared
    loading: Loading = Loading()
    seconds: float = 0.0
    randomness: Randomness = Randomness()
    beginnings: Beginnings = Beginnings()
    feeds: Feeds = Feeds()
    keys: Keys = Keys()
    called: Flow | None = None  # the flow with the calls of models, where they are kept apart from it

    @property
    def complete(self) -> int:
        """How many steps ran to their end: all, unless one raised."""
        errors = self.steps.of("error")
        return min([event.step for event in errors], default=self.steps.count)

    def completed(self) -> Recording:
        """What was recorded of the complete steps, for checks that judge what a whole step did not do."""
        count = self.complete

        def within(items: tuple[T, ...]) -> tuple[T, ...]:
            return tuple(item for item in items if item.step < count)  # type: ignore[attr-defined]

        return replace(
            self,
            steps=replace(
                self.steps,
                count=count,
                events=within(self.steps.events),
                movements=within(self.steps.movements),
                losses=self.steps.losses[:count],
            ),
            flow=replace(self.flow, graphs=within(self.flow.graphs)),
            called=self.called and replace(self.called, graphs=within(self.called.graphs)),
            losses=replace(self.losses, calls=within(self.losses.calls)),
            modes=replace(
                self.modes,
                layers=tuple(replace(layer, moved=layer.moved[:count]) for layer in self.modes.layers),
                runs=within(self.modes.runs),
                dropouts=within(self.modes.dropouts),
            ),
            numbers=replace(
                self.numbers,
                not_finite=within(self.numbers.not_finite),
                activations=within(self.numbers.activations),
                outputs=within(self.numbers.outputs),
            ),
            declared=replace(self.declared, order=self.declared.order[:count]),
            randomness=replace(self.randomness, turns=within(self.randomness.turns)),
            keys=replace(self.keys, uses=within(self.keys.uses)),
        )


@dataclass(frozen=True, slots=True)
class Motion:
    """What a block of code did to one tensor: whether any bit of it changed, and the largest change of an entry.

    `gradient`: largest |gradient| at the end of the last `backward` that reached it, None if none did. `statistic`: a
    running statistic of a normalization. `watched`: gradients could be seen.
    """

    name: str
    moved: bool
    distance: float
    gradient: float | None
    trainable: bool
    statistic: bool
    parameter: bool
    watched: bool = True


class Live(Protocol):
    """A watch over a loop that the user runs; nothing is copied and nothing is put back."""

    def recording(self) -> Recording:
        """What was recorded so far."""
        ...

    def lab(self) -> Lab:
        """Where the recorded model calls can be made again. Raises `NotOffered` where they cannot."""
        ...

    def loaders(self) -> tuple[Loader, ...]:
        """What two workers would draw, of each data loader that was made or iterated in the recorded run."""
        ...

    def describe(self) -> Mapping[str, str]:
        """The framework and its version, for the report: {"framework": "torch 2.13.0"}."""
        ...

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """The checks that cannot be judged here, by name: because it is not seen yet (`Open`), or for want of the thing
        itself in the framework (`NotApplicable`). What is empty for want of a verb must never pass."""
        ...

    def words(self) -> Sequence[tuple[str, str]]:
        """Phrases of findings, and what is said in this framework instead."""
        ...


class World(Live, Protocol):
    """One private place in which the user's training can be run and observed.

    `recording` runs the step a few times, recorded (the same Recording on every call). An exception of the step ends
    it and is kept: `steps.error` tells it, `raised()` gives it.
    """

    def raised(self) -> BaseException | None:
        """The exception that ended the recording, if one did."""
        ...

    def fingerprint_changes(self) -> tuple[str, ...]:
        """Once the world is closed: the names of the user's objects that are not bit for bit as they were."""
        ...
