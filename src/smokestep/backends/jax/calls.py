"""Calls: the model in each differentiated function of a step, as the call of a root model.

JAX knows no models, so the call is what the frontier between parameters and loss says; it has no name of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smokestep.backends.jax import frames
from smokestep.backends.jax.cells import Differentiation, Turn
from smokestep.backends.jax.frontier import Frontier, frontier
from smokestep.backends.jax.groups import Group
from smokestep.evidence.flow import Call
from smokestep.findings import Line


@dataclass(frozen=True, slots=True)
class Modelled:
    """One model as it was recorded: the differentiated function it is in, by position, and its values there."""

    position: int
    run: Differentiation
    model: Frontier
    body: Any
    line: Line | None


def modelled(turn: Turn) -> list[Modelled]:
    """The models of a step, in order."""
    moved = _moved(turn)
    found = []
    for position, run in enumerate(turn.forwards):
        body = run.body[0] if isinstance(run.body, tuple) else run.body
        if body is None:
            continue
        data = {n for n in body.sketch.inputs if n in run.ids and _moves(turn, run.ids[n], moved)}
        if not data:
            data = {n for n in body.sketch.inputs if n in run.ids and _plain(turn, run.ids[n])}
        model = frontier(body, data)
        if model is not None and all(n in run.ids and run.ids[n] in turn.cells for n in model.outputs):
            found.append(Modelled(position, run, model, body, _line(body, model, run)))
    return found


def calls(turn: Turn) -> tuple[Call, ...]:
    """The calls of a step, as evidence."""
    return tuple(
        Call(
            step=turn.step,
            index=each.run.index,
            model="",
            inputs=tuple((name_of(turn, each.run.ids[n]), each.run.ids[n]) for n in each.model.inputs),
            outputs=tuple(each.run.ids[n] for n in each.model.outputs),
            line=each.line,
        )
        for each in modelled(turn)
    )


def name_of(turn: Turn, value: int) -> str:
    """The path of a value in the batch, "" for any other."""
    for _ in range(8):
        cell = turn.cells[value]
        if cell.name or cell.origin is None:
            return cell.name
        value = cell.origin
    return ""


def _moved(turn: Turn) -> set[int]:
    """The values that come from the batch."""
    found = {cell.id for cell in turn.cells.values() if cell.name.startswith("batch")}
    for op in turn.ops:
        if not op.grad and not found.isdisjoint(op.reads):
            found.update(op.makes)
    return found


def _moves(turn: Turn, value: int, moved: set[int]) -> bool:
    for _ in range(8):
        if value in moved:
            return True
        origin = turn.cells[value].origin
        if origin is None:
            return False
        value = origin
    return False


def _plain(turn: Turn, value: int) -> bool:
    """Whether a value is no part of the state, and has rows."""
    cell = turn.cells[value]
    return cell.source is None and bool(cell.shape) and "key" not in cell.dtype and not cell.requires_grad


def _line(body: Any, model: Frontier, run: Differentiation) -> Line | None:
    """The user's innermost line that every operation of the model has in common."""
    common: list[Line] | None = None
    for at in model.inside:
        group = body.groups[at]
        if not isinstance(group, Group):
            continue
        own = list(frames.lines((*group.path, *run.path))[1])[::-1]
        if common is None:
            common = own
        else:
            same = 0
            while same < min(len(common), len(own)) and common[same] == own[same]:
                same += 1
            common = common[:same]
    return common[-1] if common else run.line
