"""Trials: the calls of a model that can be made again after the recording, and the ways in which they can be varied.

Everything here is scalars and names: what a trial gave stays with the backend, which compares it when asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

Where: TypeAlias = tuple[tuple[int, tuple[int, ...]], ...]  # (dimension, indices) pairs; what is meant is their product


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor handed to a call or returned by it: its path ("x", "batch.mask", "0"), and its value in the flow.

    `low` and `high` are the least and greatest entry, where it has any.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    value: int | None = None
    low: float | None = None
    high: float | None = None

    @property
    def floating(self) -> bool:
        """Whether its entries are real numbers."""
        return self.dtype.startswith(("float", "bfloat"))

    @property
    def whole(self) -> bool:
        """Whether its entries are whole numbers: tokens, classes, indices."""
        return self.dtype.startswith(("int", "uint"))


@dataclass(frozen=True, slots=True)
class Trial:
    """One recorded call of a root model that can be made again, with the arguments it had.

    `outputs`: what it returned when it was recorded. `training`, `grad`: its mode and the gradient mode then.
    `others`: names of arguments that are no tensors and no plain values, so that they stay as they are.
    """

    index: int
    step: int
    model: str
    arguments: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    line: Line | None = None
    definition: Line | None = None  # the `def forward` line of the model's class
    installed: bool = False
    training: bool = True
    grad: bool = True
    others: tuple[str, ...] = ()

    def argument(self, name: str) -> Tensor | None:
        """The tensor handed over under this name."""
        return next((each for each in self.arguments if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Take:
    """An edit: keep the entries at `indices` of dimension `dim` of these arguments, in this order; they may repeat."""

    arguments: tuple[str, ...]
    dim: int
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """An edit: put other entries of the same kind at `where`: numbers of the same scale, whole numbers that occur
    elsewhere in the tensor. Every entry there is then another one, as far as the tensor has two to choose from."""

    argument: str
    where: Where


@dataclass(frozen=True, slots=True)
class Put:
    """An edit: write one value at `where`."""

    argument: str
    where: Where
    value: float


@dataclass(frozen=True, slots=True)
class Extend:
    """An edit: append (or, with `front`, prepend) `count` entries of one value along `dim`."""

    argument: str
    dim: int
    count: int
    value: float
    front: bool = False


Edit: TypeAlias = Take | Other | Put | Extend


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model of a trial answers instead of its own output: the right answer to `target`, a tensor of the batch
    as it is before all edits.

    `form`: "same" (the target itself), "scores" (large for what is right, negative for what is not) or "shares"
    (probabilities near 1 and 0). `dim`: the dimension of the output that has an entry for each class, None if a target
    of 0 or 1 has one entry of its own.
    """

    trial: int
    target: str
    form: Literal["same", "scores", "shares"]
    dim: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial gave: the tensors it returned, or the exception it raised, in one line.

    `drew`: it drew random numbers. `kept`: buffers and attributes that it changed (they are put back). `wrote`: the
    arguments that it wrote into. `handle` is the backend's.
    """

    outputs: tuple[Tensor, ...]
    error: str = ""
    error_line: Line | None = None
    drew: bool = False
    kept: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()
    handle: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Stepped:
    """One run of a training's own step: the scalars on which it called backward, in order, and what it returned, if a
    number. `drew`: a dry run drew random numbers, though dropout was left out. `error`: what it raised, in one line."""

    losses: tuple[float, ...]
    returned: float | None = None
    error: str = ""
    error_line: Line | None = None
    drew: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one output of two outcomes differs, for every index of one dimension: the largest |one - other|.

    `scale`: the largest |entry| of the first. `eps`: the relative rounding of its dtype (or of the autocast it ran
    under): two ways to compute the same differ by some multiples of it.
    """

    output: str
    largest: tuple[float, ...]
    scale: float
    eps: float

    def beyond(self, tolerance: float) -> tuple[int, ...]:
        """The indices that differ by more than `tolerance` roundings of the scale."""
        limit = tolerance * self.eps * self.scale
        return tuple(index for index, each in enumerate(self.largest) if not each <= limit)

    def over(self, share: float) -> tuple[int, ...]:
        """The indices that differ by more than this share of the scale: for two computations of one shape, which agree
        to the last bit on most devices, however coarse their type."""
        return tuple(index for index, each in enumerate(self.largest) if not each <= share * self.scale)


@dataclass(frozen=True, slots=True)
class Spread:
    """Where one tensor differs between two trials: for each dimension the indices (the first 64) at which something
    does. `box`: the entries that differ are exactly the product of these indices; of a tensor without dimensions,
    whether it differs."""

    shape: tuple[int, ...]
    indices: tuple[tuple[int, ...], ...]
    box: bool

    @property
    def touched(self) -> bool:
        """Whether anything differs."""
        return all(self.indices) if self.shape else self.box


@dataclass(frozen=True, slots=True)
class Touch:
    """One operation of a trial whose inputs or results differ between two trials, in order.

    `line`, `caller`, `stack`, `module` as in `flow.Op`; `args` its plain arguments. `learned`: it reads a parameter.
    """

    name: str
    reads: tuple[Spread, ...]
    makes: tuple[Spread, ...]
    line: Line | None = None
    caller: Line | None = None
    module: str = ""
    args: tuple[tuple[str, Any], ...] = ()
    learned: bool = False
    stack: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Trials:
    """The calls that can be made again, in order: those of the last complete step, at most four of each model."""

    trials: tuple[Trial, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Trials:
        """As the backend kept them."""
        return cls(world.lab().trials())

    def of_models(self) -> tuple[Trial, ...]:
        """The first call of each model."""
        first: dict[str, Trial] = {}
        for each in self.trials:
            first.setdefault(each.model, each)
        return tuple(first.values())
