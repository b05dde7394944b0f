"""Notes: what a model was given, what it gave, and how a dropout ran, as a primitive that reads values and makes none.

A note stands in the traced program where the library's own call was made, so that it means the values of every run,
whatever maps, compiles or differentiates the call; the call itself is handed what the user handed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from jax._src import core
from jax._src.interpreters import ad, batching, mlir

from smokestep.backends.jax import frames

# In: the arrays that a note is about. Params: `note`.
note_p = core.Primitive("smokestep_note")
note_p.multiple_results = True


@dataclass(frozen=True, slots=True)
class Note:
    """One note. `label`: the class of the outermost model that runs; `names`: the argument that each array is of.

    Of a dropout: its `path` in that model, its `rate`, whether it dropped, what its call was given as the flag that
    switches it off, and whether its own attribute says that it trains.
    """

    side: Literal["given", "gave", "dropout"]
    label: str
    names: tuple[str, ...] = ()
    definition: tuple[str, int] | None = None
    installed: bool = False
    path: str = ""
    rate: float = 0.0
    active: bool = False
    explicit: bool | None = None
    training: bool = True


@dataclass(frozen=True, slots=True)
class Visit:
    """A note in a step that ran: the values it is about, -1 for a plain number. `body`: the index of the differentiated
    function it lies in, None outside of all."""

    note: Note
    values: tuple[int, ...]
    path: frames.Path
    body: int | None = None


def _jvp(primals: Any, tangents: Any, **params: Any) -> tuple[list[Any], list[Any]]:
    note_p.bind(*primals, **params)
    return [], []


def _batch(axis_data: Any, args: Any, dims: Any, **params: Any) -> tuple[list[Any], list[Any]]:
    size = axis_data.size
    moved = [x if dim is None else batching.bdim_at_front(x, dim, size) for x, dim in zip(args, dims, strict=True)]
    note_p.bind(*moved, **params)
    return [], []


note_p.def_abstract_eval(lambda *avals, **params: [])
note_p.def_impl(lambda *args, **params: [])
mlir.register_lowering(note_p, mlir.lower_fun(lambda *args, **params: [], multiple_results=True))
ad.primitive_jvps[note_p] = _jvp
batching.fancy_primitive_batchers[note_p] = _batch
