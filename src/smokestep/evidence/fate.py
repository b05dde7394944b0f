"""Fate: what became of one parameter, and how those with one explanation are told together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smokestep.findings import Finding, Line, Place, Severity

FateKind = Literal[
    "trains",
    "unused",  # no op reads it, and its attribute is never read
    "conditional",  # no op read it in the recorded steps, or its result is used only in a branch: could not tell
    "dropped",  # used, and the result reaches no loss
    "cut",  # reaches the loss by value and not by gradient
    "opaque",  # the way to the loss leads through calls whose inside was not seen
    "zero",  # gradient arrives, and is exactly zero in every step
    "waiting",  # multiplied by a zero that is itself being trained, or by nothing to train on yet
    "cleared",  # gradient at backward, none at the update
    "unregistered",  # gradient, in no optimizer, and its module does not know it
    "unoptimized",  # gradient, in no optimizer
    "stale",  # gradient, while an optimizer holds another tensor in its place
    "rate",  # learning rate 0 in every step
    "lost",  # every update smaller than the spacing of its numbers
    "cancelled",  # its gradient is zero but for rounding (a bias before a normalization): nothing to lose
    "frozen",  # requires_grad is False
    "no update",  # no optimizer that holds it was stepped
    "aside",  # not meant to train here: held by no optimizer, and no gradient; a target network
    "unexplained",
]

NO_GRAD = "turns gradient off"  # the note beside the line of a `no_grad` region


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one parameter. `line` is the cause, `related` further lines with a note, `reason` the words that
    follow its name in a sentence. `certain`: what was measured and read admits no healthy explanation. `got`: what
    gradient it got."""

    parameter: str
    kind: FateKind
    reason: str = ""
    line: Line | None = None
    related: tuple[tuple[Line, str], ...] = ()
    hint: str = ""
    op: str = ""
    certain: bool = True
    installed: bool = False
    step: int = 0
    owner: str = ""
    got: str = "no gradient"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Parameters with one kind of fate for one reason on one line: what a finding tells."""

    fates: tuple[Fate, ...]

    @property
    def first(self) -> Fate:
        """The fate that stands for all."""
        return self.fates[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' full names."""
        return tuple(fate.parameter for fate in self.fates)

    @property
    def title(self) -> str:
        """The names, abridged where they are many: "conv1.weight, conv1.bias", "encoder.* (24 parameters)"."""
        return abridged(self.names)

    @property
    def them(self) -> str:
        """The pronoun for the names."""
        return "it" if len(self.fates) == 1 else "them"

    @property
    def code(self) -> str:
        """The text of the line that explains it, in backquotes, without its comment."""
        text = self.first.line.code if self.first.line else ""
        return f"`{text.partition('  #')[0].strip()}`" if text else f"the result of `{self.first.op}`"

    def told(self, message: str, hint: str = "") -> Finding:
        """The finding that tells these fates; not certain, or in an installed package, it is a suspicion."""
        fate = self.first
        return Finding(
            message,
            where=Place.of(self.title, fate.line),
            cause=fate.line,
            hint=hint or fate.hint,
            severity=None if fate.certain and not fate.installed else Severity.SUSPICION,
            subjects=self.names,
            related=fate.related,
            data={"operation": fate.op, "reason": fate.reason, "step": fate.step},
        )


def abridged(names: Sequence[str]) -> str:
    """A few names in full, many by their common module."""
    if len(names) <= 4:
        return ", ".join(names)
    parts = [name.split(".")[:-1] for name in names]
    common: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    if common:
        return f"{'.'.join(common)}.* ({len(names)} parameters)"
    return f"{', '.join(names[:3])} and {len(names) - 3} more"
