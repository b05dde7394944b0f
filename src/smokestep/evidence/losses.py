"""Losses: every recognised loss call, with what it was given.

Statistics are taken from the arguments as they were at the call; a field is None when it does not apply or could not
be measured.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.evidence.source import loss_sites
from smokestep.findings import Line, Place, Severity

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Operand:
    """One tensor argument of a loss: `value` is its id in the step's Graph; `maker` names the op that produced it
    (views, casts and indexing skipped), at `maker_line`, along dimension `maker_dim` if it normalises (softmax).

    `rows` is the (least, greatest) sum over the class dimension, `exp_rows` that of the exponentials.
    `integral`: every entry is a whole number. `distinct`: number of distinct entries, counted up to 16.
    """

    value: int
    shape: tuple[int, ...]
    dtype: str
    low: float | None
    high: float | None
    requires_grad: bool
    rows: tuple[float, float] | None = None
    exp_rows: tuple[float, float] | None = None
    integral: bool | None = None
    distinct: int | None = None
    maker: str = ""
    maker_line: Line | None = None
    maker_dim: int | None = None
    maker_size: int | None = None  # length of that dimension

    @staticmethod
    def off(sums: tuple[float, float] | None, tolerance: float) -> bool:
        """Some row certainly does not sum to 1; NaN is no such certainty, nor are sums that were not measured."""
        return sums is not None and any(abs(each - 1) > tolerance for each in sums)


@dataclass(frozen=True, slots=True)
class LossCall:
    """One call of a recognised loss function.

    `name`: the functional name ("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "mse_loss", …).
    `classes`: length of the class dimension for losses that have one (`class_dim` is that dimension).
    `result`: value id of what it returned; `loss` its value if scalar; `reaches_root`: it reaches a backward root by
    value; `gradient`: largest |gradient| that arrived at the prediction, None if none did. `grad`: gradient mode on.
    `sign`: +1 or -1 when only sums, means, additions and multiplications by positive or negative constants lie
    between it and the root, else None.
    """

    step: int
    name: str
    prediction: Operand
    target: Operand | None
    result: int
    loss: float | None
    line: Line | None = None
    caller: Line | None = None
    module: str = ""
    reduction: str = "mean"
    classes: int | None = None
    class_dim: int | None = None
    ignore_index: int | None = None
    ignored: float | None = None
    weighted: bool = False
    label_smoothing: float = 0.0
    log_target: bool = False
    reaches_root: bool = True
    gradient: float | None = None
    grad: bool = True
    sign: int | None = None

    @property
    def severity(self) -> Severity | None:
        """Suspicion when the call and what made its prediction both lie in installed packages, else the check's own."""
        lines = [line for line in (self.line, self.prediction.maker_line) if line]
        return Severity.SUSPICION if lines and all(line.installed for line in lines) else None

    @property
    def user_line(self) -> Line | None:
        """The line of the user's own code that called it, through an installed package or not."""
        return self.caller if self.line and self.line.installed and self.caller else self.line

    @property
    def place(self) -> Place:
        """Where the call is: its line, and the module it ran in if it ran in one."""
        return Place.of(self.module or None, self.user_line)


@dataclass(frozen=True, slots=True)
class Losses:
    """All recognised loss calls, in order."""

    calls: tuple[LossCall, ...]

    def trained(self) -> tuple[tuple[LossCall, ...], ...]:
        """The calls that can train something, grouped by source line and function, in order of their first call.

        Several on one line are told apart where its text shows that it makes all of them each time. Losses that are
        only computed to be looked at (no gradient mode, no way to a backward root) are left out.
        """
        groups: dict[tuple[str, Line | None, int], list[LossCall]] = {}
        for site, call in zip(self._sites(), self.calls, strict=True):
            if call.grad and call.reaches_root:
                groups.setdefault((call.name, call.line, site), []).append(call)
        return tuple(tuple(group) for group in groups.values())

    def _sites(self) -> list[int]:
        """Which one on its line each call is; 0 where that is not certain."""
        keys = [(call.name, call.line, call.step) for call in self.calls]
        made, so_far = Counter(keys), Counter[tuple[str, Line | None, int]]()
        sites = {line: loss_sites(line) for _, line, _ in keys if line}
        uneven = {key[:2] for key, times in made.items() if key[1] and times % sites[key[1]]}
        found = []
        for key in keys:
            found.append(so_far[key] % sites[key[1]] if key[1] and key[:2] not in uneven else 0)
            so_far[key] += 1
        return found

    @classmethod
    def gather(cls, world: World, of: Of) -> Losses:
        """Taken from the recorded run."""
        return world.recording().losses
