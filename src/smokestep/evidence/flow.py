"""Flow: the dataflow graph of each recorded step, at the level of public framework calls.

A value is one version of one tensor; an in-place write makes a new version. Parameters, buffers and inputs are
sources; what `backward` was called on are the sinks (`roots`). The graph holds no tensor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

ValueKind = Literal["parameter", "buffer", "input", "leaf", "made", "unknown", "carried"]


@dataclass(frozen=True, slots=True)
class Value:
    """One version of one tensor.

    `kind`: parameter · buffer · input (no gradient, no known maker: data, targets, constants) · leaf (requires
    gradient, is no parameter) · made (by `op`) · unknown (has a gradient history that was not seen: an opaque call
    made it) · carried (made in an earlier step). `name`: parameter or buffer name; for an element of the step's batch
    its path in the batch (`batch[0]`, `batch["image"]`), else "".
    `peak`: largest |entry|, None if not measured; `gradient`: largest |d loss / d value| seen in backward, None if no
    gradient arrived, `gradient_mean` its mean (the sign tells which way the loss pushes). `kept`: it was still held,
    with its gradient history, when the recording ended. `uniform`: of an element of the batch, all entries are equal.
    """

    id: int
    step: int
    kind: ValueKind
    name: str = ""
    op: int | None = None
    shape: tuple[int, ...] = ()
    dtype: str = ""
    requires_grad: bool = False
    peak: float | None = None
    gradient: float | None = None
    gradient_mean: float | None = None
    kept: bool = False
    uniform: bool = False


@dataclass(frozen=True, slots=True)
class Op:
    """One public call. `name` is the bare function name ("conv2d", "relu", "detach", "item", "__setitem__").

    `line` is the innermost line outside the framework; `caller` the innermost line of the user's own code (equal to
    `line` unless that lies in an installed package). `module` is the path of the innermost module running.
    `grad`: gradient mode was on. `escapes`: the result is no tensor (a float, a list, a NumPy array).
    `inplace`: it wrote its first argument. `args`: the plain scalar, string and None arguments by name or position.
    `scalars`: values of ops whose Python result (`.item()`) was passed on as a plain number to this one.
    `outer`: name of a custom autograd Function this call is, or "". `stack`: every line of the user's own code that
    led to the call, innermost first (`caller` is its first), so that a result dropped by a caller is told there.
    """

    id: int
    step: int
    name: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    line: Line | None = None
    caller: Line | None = None
    module: str = ""
    grad: bool = True
    escapes: bool = False
    inplace: bool = False
    args: Mapping[str, bool | int | float | str | None | tuple[int, ...]] = field(default_factory=dict)
    outer: str = ""
    stack: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a root model (one that no other module called).

    `inputs`: (argument name, value id) of every tensor handed over, nested ones as "batch.mask", "0.1".
    `outputs`: value ids of the tensors returned. `spread`: per output, the largest absolute difference between rows
    of dimension 0 (None: fewer than two rows, or not floating). `varied`: some input differs between its rows.
    """

    step: int
    index: int  # index of the "forward" event in Steps
    model: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[int, ...]
    line: Line | None = None
    training: bool = True
    grad: bool = True
    spread: tuple[float | None, ...] = ()
    varied: bool = False
    definition: Line | None = None  # the `def forward` line of the model's class
    installed: bool = False  # the model's class lies in an installed package


@dataclass(frozen=True, slots=True)
class Backward:
    """One call of backward (or of autograd.grad when nothing else is called): `roots` are the values differentiated,
    `index` its event in Steps."""

    index: int
    roots: tuple[int, ...]
    line: Line | None = None
    reached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """The dataflow of one step. `opaque`: names and lines of calls whose inside was not seen (scripted modules, C++).

    Walks cost what they reach: which op made a value, and which read it, is kept by value.
    """

    step: int
    values: Mapping[int, Value]
    ops: tuple[Op, ...]
    backwards: tuple[Backward, ...]
    calls: tuple[Call, ...] = ()
    opaque: tuple[tuple[str, Line | None], ...] = ()
    _made: Mapping[int, Op] = field(init=False, repr=False, compare=False)
    _readers: Mapping[int, tuple[Op, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        readers: defaultdict[int, list[Op]] = defaultdict(list)
        for op in self.ops:
            for value in dict.fromkeys(op.reads):
                readers[value].append(op)
        made = {value: op for op in self.ops for value in op.makes}
        object.__setattr__(self, "_made", made)
        object.__setattr__(self, "_readers", {value: tuple(ops) for value, ops in readers.items()})

    @property
    def roots(self) -> frozenset[int]:
        """Every value on which backward was called in this step."""
        return frozenset(root for backward in self.backwards for root in backward.roots)

    def forward_of(self, sources: Iterable[int], through: Callable[[Op], bool] = lambda op: True) -> frozenset[int]:
        """Every value computed from `sources`, themselves included, along ops for which `through` holds."""
        reached = set(sources)
        ahead = list(reached)
        while ahead:
            for op in self._readers.get(ahead.pop(), ()):
                if through(op):
                    new = [value for value in op.makes if value not in reached]
                    reached.update(new)
                    ahead += new
        return frozenset(reached)

    def backward_of(self, sinks: Iterable[int], through: Callable[[Op], bool] = lambda op: True) -> frozenset[int]:
        """Every value that `sinks` were computed from, themselves included, along ops for which `through` holds."""
        needed = set(sinks)
        ahead = list(needed)
        while ahead:
            op = self._made.get(ahead.pop())
            if op is not None and through(op):
                new = [value for value in op.reads if value not in needed]
                needed.update(new)
                ahead += new
        return frozenset(needed)

    def passes_gradient(self, op: Op) -> bool:
        """Whether gradient can flow back through this op: something it made has a gradient history."""
        return any(self.values[made].requires_grad for made in op.makes if made in self.values)

    def maker(self, value: int) -> Op | None:
        """The op that made a value, None for sources."""
        return self._made.get(value)

    def readers(self) -> Mapping[int, tuple[Op, ...]]:
        """For every value read, the ops that read it, in order."""
        return self._readers

    def sources(self, kind: ValueKind, name: str | None = None) -> tuple[Value, ...]:
        """The source values of one kind, of one name if given."""
        return tuple(
            value for value in self.values.values() if value.kind == kind and (name is None or value.name == name)
        )


@dataclass(frozen=True, slots=True)
class Flow:
    """The dataflow graphs of the recorded steps, one each."""

    graphs: tuple[Graph, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Flow:
        """Taken from the recorded run."""
        return world.recording().flow
