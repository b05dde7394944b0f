"""Slopes: the gradient that a backward gives, beside the slope that is measured by finite differences, in double
precision.

Every custom autograd Function is tried alone, on the arguments of one of its calls; a whole model is tried where no
part of it stops or changes gradient on purpose. A slope that does not settle (a kink, noise) is no evidence, and is
left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.trials import Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

CUTS = frozenset("detach detach_ data data= item tolist numpy __float__ float set_".split())
PRECISION = 1e-3  # the share by which the two must differ: central differences in double agree to some 1e-8


@dataclass(frozen=True, slots=True)
class Slope:
    """What was measured along one direction, and what the gradient says of it. `entry`: along one entry alone."""

    measured: float
    given: float
    entry: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """One tensor for which a gradient was given: `slopes` that settled, of `tried`.

    `numbers`: how many entries it has. `same`: the result is equal to it. `passing`: the gradient given is the incoming
    one, times one number where it is not 0. `linear`: the result is linear in it.
    """

    name: str
    slopes: tuple[Slope, ...]
    tried: int
    numbers: int = 0
    same: bool = False
    passing: bool = False
    linear: bool = False

    @property
    def floor(self) -> float:
        """Below this a slope counts as 0: rounding, next to the largest one seen."""
        return 1e-9 + 1e-6 * max((max(abs(s.measured), abs(s.given)) for s in self.slopes), default=0.0)

    def wrong(self) -> tuple[Slope, ...]:
        """The slopes with which the gradient disagrees."""
        return tuple(
            each
            for each in self.slopes
            if abs(each.measured - each.given) > self.floor + PRECISION * max(abs(each.measured), abs(each.given))
        )

    @property
    def flat(self) -> bool:
        """The result does not change with an entry that is given gradient all the same: an estimate, on purpose."""
        return any(abs(each.measured) <= self.floor < abs(each.given) for each in self.wrong())

    @property
    def factor(self) -> float | None:
        """The one number by which the gradient is off in every direction, None if there is none."""
        ratios = [each.given / each.measured for each in self.slopes if abs(each.measured) > self.floor]
        if not ratios or len(self.wrong()) < len(ratios):
            return None
        middle = sorted(ratios)[len(ratios) // 2]
        return middle if all(abs(each - middle) <= PRECISION * abs(middle) for each in ratios) else None


@dataclass(frozen=True, slots=True)
class Sloped:
    """One custom Function, or a whole model (`whole`). `why` is the reason why it could not be tried.

    `line`: where it is called; `backward`: the `def backward` line, of a model that of its forward. `idle`: a tensor
    that its forward takes and does not use.
    """

    name: str
    line: Line | None = None
    backward: Line | None = None
    inputs: tuple[Input, ...] = ()
    idle: str = ""
    why: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Slopes:
    """What was tried: the custom Functions in the order of their first call, then the models."""

    experiment: ClassVar[str] = "gradients measured by finite differences in double precision"
    tried: tuple[Sloped, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Slopes:
        """The Functions as the backend finds them; a model only where its graph has nothing that is meant to cut."""
        lab, flow = world.lab(), of(Flow)
        functions = lab.functions()
        models = (
            Sloped(each.model, each.line, each.definition, why=why, whole=True)
            if (why := _deliberate(flow.graphs[each.step], [t.value for t in each.outputs if t.value is not None]))
            else lab.slopes(each.index)
            for each in of(Trials).of_models()
        )
        return cls((*functions, *models))


def _deliberate(graph: Graph, outputs: Sequence[int]) -> str:
    """Why the gradient of a model with these outputs need not be their slope."""
    before = graph.backward_of(outputs)
    ops = [op for op in graph.ops if not before.isdisjoint(op.makes)]
    if outer := next((op.outer for op in ops if op.outer), ""):
        return f"the custom Function `{outer}` is part of it, and tried alone"
    if cut := next((op.name for op in ops if op.name in CUTS and op.reads), ""):
        return f"`{cut}` stops gradient in it"
    if any(not op.grad and op.reads for op in ops):
        return "part of it runs without gradient"
    return "a call was not seen inside" if graph.opaque else ""
