"""Feeds: the data loaders that were iterated: how long an epoch is, and in which order its samples come.

What a loader says of itself; no sample is fetched for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.steps import Steps
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Feed:
    """One iteration of a loader that was begun. `index` orders it with the events; `line`: where the loader was made.

    `batches`: in an epoch, None if it cannot say. `sequential`: samples come in the data set's own order. `classes`:
    how many different labels the data set keeps, if they are whole numbers in ascending order; `alike`: so many of the
    first samples have the same.
    """

    index: int
    dataset: str
    batches: int | None
    batch_size: int | None
    sequential: bool
    classes: int | None = None
    alike: int = 0
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Feeds:
    """Every iteration of a loader, in order."""

    feeds: tuple[Feed, ...] = ()

    def training(self, steps: Steps) -> Feed | None:
        """The loader that feeds the updates: in a loop that was watched, the last one begun before the first of them;
        in one that was given its batch, the only one."""
        first = next((event.index for event in steps.of("update", "manual")), None)
        before = [each for each in self.feeds if first is not None and each.index < first]
        if steps.kind == "training":
            return before[0] if len({each.line for each in before}) == 1 == len(before) else None
        return before[-1] if before else None

    @classmethod
    def gather(cls, world: World, of: Of) -> Feeds:
        """Taken from the recorded run."""
        return world.recording().feeds
