"""Cells: the values and operations of one step while it runs, before they become evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smokestep.backends.jax import frames
from smokestep.backends.jax.notes import Visit
from smokestep.evidence.flow import Value, ValueKind
from smokestep.findings import Line


@dataclass(slots=True)
class Cell:
    """One value of a step on its way to evidence. `source`: the leaf of the state it is, or stands for."""

    id: int
    step: int
    kind: ValueKind
    shape: tuple[int, ...] = ()
    dtype: str = ""
    name: str = ""
    op: int | None = None
    requires_grad: bool = False
    peak: float | None = None
    gradient: float | None = None
    mean: float | None = None
    uniform: bool = False
    source: tuple[str, ...] | None = None
    origin: int | None = None  # the value outside of the differentiated function that it is
    whole: np.ndarray | None = None

    def told(self, name: str, kind: ValueKind) -> Value:
        """As evidence."""
        return Value(
            self.id,
            self.step,
            kind,
            name,
            self.op,
            self.shape,
            self.dtype,
            self.requires_grad,
            self.peak,
            self.gradient,
            self.mean,
            False,
            self.uniform,
        )


@dataclass(slots=True)
class Made:
    """One operation of a step on its way to evidence."""

    id: int
    name: str
    kind: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    path: frames.Path
    module: str
    grad: bool
    args: dict[str, Any]
    outer: str = ""
    label: str = ""
    opaque: bool = False
    body: int | None = None
    unsure: bool = False

    def lines(self) -> tuple[Line | None, tuple[Line, ...]]:
        """Where it was written."""
        return frames.lines(self.path)


@dataclass(slots=True)
class Arithmetic:
    """One operation on gradients, outside of what is differentiated. `optimizing`: an optimizer library does it."""

    id: int
    name: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    path: frames.Path
    optimizing: bool
    applying: bool
    args: dict[str, Any]


@dataclass(slots=True)
class Gradient:
    """One gradient that came out of a backward: of which primal, and how large it was."""

    backward: int
    primal: int
    value: int
    peak: float | None
    spread: tuple[float | None, ...] = ()  # how far its slices lie apart, along each dimension


@dataclass(slots=True)
class Differentiation:
    """One marked forward: its values, and the backward passes that went through it."""

    index: int
    key: int
    line: Line | None
    path: frames.Path
    ids: dict[int, int]
    primals: tuple[int, ...]
    names: tuple[str, ...]
    roots: tuple[int, ...]
    body: Any = None
    operands: Any = None


@dataclass(slots=True)
class Backed:
    """One backward pass: its event, what was differentiated, what received gradient."""

    index: int
    of: Differentiation
    roots: tuple[int, ...]
    line: Line | None
    gradients: list[Gradient] = field(default_factory=list)
    loss: float | None = None


@dataclass(slots=True)
class Turn:
    """One step: all that was seen in it. `before` and `after` are the leaves of the state by path."""

    step: int
    name: str
    index: int
    cells: dict[int, Cell] = field(default_factory=dict)
    ops: list[Made] = field(default_factory=list)
    arithmetic: list[Arithmetic] = field(default_factory=list)
    forwards: list[Differentiation] = field(default_factory=list)
    backwards: list[Backed] = field(default_factory=list)
    opaque: list[tuple[str, Line | None]] = field(default_factory=list)
    taint: dict[int, int] = field(default_factory=dict)  # value -> bits of `gradients`
    gradients: list[Gradient] = field(default_factory=list)
    before: dict[tuple[str, ...], Any] = field(default_factory=dict)
    after: dict[tuple[str, ...], Any] = field(default_factory=dict)
    entered: dict[tuple[str, ...], int] = field(default_factory=dict)  # leaf of the state -> value
    left: dict[tuple[str, ...], int] = field(default_factory=dict)
    returned: float | None = None
    given: list[int] = field(default_factory=list)  # the arrays of the batch, read or not
    made_of: dict[int, int] = field(default_factory=dict)  # value -> the Arithmetic that made it, by position
    visits: list[Visit] = field(default_factory=list)
    switches: list[tuple[str, bool, Line | None]] = field(default_factory=list)  # class, training, line
