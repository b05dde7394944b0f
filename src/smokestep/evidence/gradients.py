"""Gradients: what became of every gradient, followed through the events of the loop.

Derived from `Steps` alone: each update says which backward passes it used, which gradients had been used before, and
which had been cleared before it could use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from smokestep.evidence.steps import Event, Steps

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Use:
    """One update. `fresh`: per parameter it moved, the backward passes not used before, in order (or the event that
    set its gradient by hand).

    `stale`: per parameter whose gradient held what an earlier update had used: the backward pass that added to it, and
    that update.
    `wiped`: per parameter without gradient, what cleared it after its last backward pass.
    `forward`: since that backward pass (or the beginning), a root model ran with gradient mode on.
    `later`: the first backward pass that reached its parameters after it, before its next update.
    """

    event: Event
    fresh: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    stale: Mapping[str, tuple[Event, Event]] = field(default_factory=dict)
    wiped: Mapping[str, Event] = field(default_factory=dict)
    forward: bool = False
    later: Event | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """One clipping. `fresh`: gradients that no update had used yet; `used`: the update that had used them, if any.

    `scaled`: the unscaling that came only after it, before the update.
    """

    event: Event
    fresh: frozenset[str] = frozenset()
    used: Event | None = None
    scaled: Event | None = None


@dataclass(frozen=True, slots=True)
class Gradients:
    """Updates by optimizers (`uses`), those by hand of parameters that no optimizer holds (`manual`), and clippings."""

    uses: tuple[Use, ...] = ()
    manual: tuple[Use, ...] = ()
    clips: tuple[Clip, ...] = ()

    def of(self, optimizer: str) -> tuple[Use, ...]:
        """The updates of one optimizer, in order, those skipped by a gradient scaler left out."""
        return tuple(use for use in self.uses if use.event.subject == optimizer and not use.event.detail.get("skipped"))

    @classmethod
    def gather(cls, world: World, of: Of) -> Gradients:
        """Followed through the recorded events."""
        return follow(of(Steps))


def follow(steps: Steps) -> Gradients:
    """Walk the events once, keeping for every parameter what its gradient consists of."""
    holds = {each.name: {name for group in each.groups for name in group.parameters} for each in steps.optimizers}
    order = {each.name: at for at, each in enumerate(steps.parameters)}
    held = {name for names in holds.values() for name in names}
    fresh: dict[str, list[Event]] = {}  # backward passes that no update has used
    used: dict[str, Event] = {}  # the update that used what is still in the gradient
    mixed: dict[str, tuple[Event, Event]] = {}  # the backward pass that added to that, and the update
    wiped: dict[str, Event] = {}  # the clearing that lost an unused gradient
    ran = dict.fromkeys(holds, False)  # a model ran since the last backward pass
    updates: list[Use] = []
    manual: list[Use] = []
    clips: list[Clip] = []
    awaited: dict[str, int] = {}  # the last update of an optimizer, until a backward pass follows it
    for event in steps.events:
        if event.kind == "forward" and event.detail.get("grad", True):
            ran = dict.fromkeys(holds, True)
        elif event.kind == "backward":
            for name in event.parameters:
                if name in used:
                    mixed.setdefault(name, (event, used[name]))
                fresh.setdefault(name, []).append(event)
                wiped.pop(name, None)
            for optimizer in [each for each in holds if not holds[each].isdisjoint(event.parameters)]:
                ran[optimizer] = False
                if optimizer in awaited:
                    at = awaited.pop(optimizer)
                    updates[at] = replace(updates[at], later=event)
        elif event.kind == "zero_grad":
            for name in event.parameters:
                if event.detail.get("replaced"):  # by a gradient made by hand, as good as one from a backward pass
                    fresh[name] = [event]
                    wiped.pop(name, None)
                elif fresh.pop(name, None):
                    wiped[name] = event
                used.pop(name, None)
                mixed.pop(name, None)
        elif event.kind == "clip":
            before = next((used[name] for name in event.parameters if name in used), None)
            clips.append(Clip(event, frozenset(name for name in event.parameters if name in fresh), before))
        elif event.kind == "unscale":
            since = max((use.event.index for use in updates if use.event.subject == event.subject), default=-1)
            own = holds.get(event.subject, held)
            for at, clip in enumerate(clips):
                if clip.event.index > since and clip.fresh and clip.fresh <= own:
                    clips[at] = replace(clip, scaled=event)
        elif event.kind in ("update", "manual"):
            by_hand = event.kind == "manual"
            mine = set(event.parameters) - held if by_hand else holds.get(event.subject, set())
            named = sorted(mine, key=lambda name: (order.get(name, 0), name))
            moved = [name for name in named if name in event.parameters]
            use = Use(
                event=event,
                fresh={name: tuple(fresh[name]) for name in moved if name in fresh},
                stale={name: mixed[name] for name in moved if name in mixed},
                wiped={name: wiped[name] for name in named if name in wiped},
                forward=ran.get(event.subject, False),
            )
            if by_hand:
                manual.append(use)
            else:
                awaited[event.subject] = len(updates)
                updates.append(use)
            for name in moved:
                fresh.pop(name, None)
                mixed.pop(name, None)
                used[name] = event
    return Gradients(tuple(updates), tuple(manual), tuple(clips))
