"""Models: the calls of modules, from their notes, and of models that are plain functions, from the graph.

Kept apart from the flow, whose one call for each differentiated function is what the experiments are made on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from smokestep.backends.jax import calls, frames
from smokestep.backends.jax.cells import Cell, Turn
from smokestep.backends.jax.notes import Visit
from smokestep.evidence.flow import Call, Flow, Graph, Op, Value
from smokestep.evidence.losses import LossCall
from smokestep.evidence.paths import SHAPE_ONLY

PLAIN = "the model"  # what a model that is no module is called
ROWS = 64  # rows of an input that are compared


def called(turns: Sequence[Turn], graphs: Sequence[Graph], losses: Sequence[LossCall]) -> Flow:
    """The graphs, with the calls of models in place of their own."""
    found = []
    for turn, graph in zip(turns, graphs, strict=True):
        graph = _whole(turn, graph)
        seen = list(_modules(turn, graph))
        within = {body for body, _ in seen}
        plain = list(_plain(turn, graph, within, [each for each in losses if each.step == graph.step]))
        ordered = sorted([*(call for _, call in seen), *plain], key=lambda call: call.index)
        found.append(replace(graph, calls=tuple(each for each in ordered if not _beside(graph, each))))
    return Flow(tuple(found))


def _whole(turn: Turn, graph: Graph) -> Graph:
    """The graph with all values that a note or the batch names, where what is differentiated is what it came from."""
    values = dict(graph.values)
    noted = {value for visit in turn.visits for value in visit.values if value >= 0}
    batch = {cell.id for cell in turn.cells.values() if cell.name.startswith("batch")}
    ahead = [*values, *noted, *batch]
    ops: list[Op] = []
    made = {value for op in graph.ops for value in op.makes}
    seen: set[int] = set()
    while ahead:
        value = ahead.pop()
        cell = turn.cells.get(value)
        if cell is None or value in seen:
            continue
        seen.add(value)
        if value not in values:
            values[value] = _told(cell)
        if cell.origin is not None and value not in made:
            ops.append(Op(value, graph.step, "identity", (cell.origin,), (value,)))
            ahead.append(cell.origin)
    return replace(graph, values=values, ops=tuple(sorted([*graph.ops, *ops], key=lambda op: op.id)), calls=())


def _told(cell: Cell) -> Value:
    return cell.told(cell.name, cell.kind)


def pairs(turn: Turn) -> Iterator[tuple[Visit, Visit]]:
    """What each module was given, and what it gave."""
    given: Visit | None = None
    for visit in turn.visits:
        if visit.note.side == "given":
            given = visit
        elif visit.note.side == "gave":
            if given is not None and given.note.label == visit.note.label and given.body == visit.body:
                yield given, visit
            given = None


def _modules(turn: Turn, graph: Graph) -> Iterator[tuple[int | None, Call]]:
    made = {value for op in graph.ops for value in op.makes}
    for given, gave in pairs(turn):
        inputs = tuple((n, v) for n, v in zip(given.note.names, given.values, strict=True) if v >= 0)
        outputs = tuple(dict.fromkeys(v for v in gave.values if v >= 0))
        if not inputs or not outputs or len(outputs) < len(set(gave.values)):
            continue
        if given.body is None and any(turn.cells[v].kind == "made" and v not in made for v in outputs):
            continue  # it differentiated something itself, and gives what came of it
        note = given.note
        yield (
            given.body,
            Call(
                step=graph.step,
                index=max(outputs),
                model=note.label,
                inputs=inputs,
                outputs=outputs,
                line=frames.lines(given.path)[0],
                grad=given.body is not None,
                spread=tuple(spread(turn.cells[v]) for v in outputs),
                varied=any(varies(turn.cells[v]) for _, v in inputs),
                definition=frames.line_of(*note.definition) if note.definition else None,
                installed=note.installed,
            ),
        )


def _plain(turn: Turn, graph: Graph, within: set[int | None], losses: Sequence[LossCall]) -> Iterator[Call]:
    """The models of the differentiated functions in which no module was called."""
    runs = {run.index for run in turn.forwards}
    for each in calls.modelled(turn):
        if each.run.index in within:
            continue
        runs.discard(each.run.index)
        unread = _unread(turn, graph, losses)
        outputs = tuple(each.run.ids[n] for n in each.model.outputs)
        if unread:
            yield unread
            continue
        read = [each.run.ids[n] for n in each.model.inputs]
        inputs = tuple(
            (calls.name_of(turn, value) or "its data", value)
            for value in read
            if not graph.forward_of([value], _entries).isdisjoint(outputs)
        )
        yield Call(
            step=graph.step,
            index=max(outputs),
            model=PLAIN,
            inputs=inputs,
            outputs=outputs,
            line=each.line,
            spread=tuple(spread(turn.cells[v]) for v in outputs),
            varied=any(varies(turn.cells[v]) for v in read),
        )
    if runs - within and (unread := _unread(turn, graph, losses)):
        yield unread


def _entries(op: Op) -> bool:
    return op.name not in SHAPE_ONLY


def _unread(turn: Turn, graph: Graph, losses: Sequence[LossCall]) -> Call | None:
    """The call of a model that is handed nothing: its predictions come of parameters, and samples are left unread."""
    trained = [each for each in losses if each.grad and each.reaches_root]
    values = [each.prediction.value for each in trained if each.prediction.value in graph.values]
    if not values or len(values) != len(losses):
        return None
    sources = [turn.cells[value] for value in graph.backward_of(values) if value in turn.cells]
    if any(cell.kind == "input" and cell.shape and cell.source is None and not _key(cell) for cell in sources):
        return None
    rows = {graph.values[value].shape[:1] for value in values}
    read = {value for op in graph.ops for value in op.reads}
    batch = [cell for cell in turn.cells.values() if cell.name.startswith("batch") and cell.origin is None]
    left = [(cell.name, cell.id) for cell in batch if cell.id not in read and cell.shape[:1] in rows and cell.shape]
    maker = graph.maker(values[0])
    if not left or len(left) == len(batch) or maker is None:
        return None
    return Call(graph.step, max(values), PLAIN, tuple(left), tuple(values), maker.line)


def _key(cell: Cell) -> bool:
    return cell.dtype.startswith("key") or (cell.dtype == "uint32" and cell.shape[-1:] == (2,))


def _beside(graph: Graph, call: Call) -> bool:
    """Whether a part of a network was called for the shape of its input alone, whose entries other layers read."""
    if any(not graph.forward_of([value], _entries).isdisjoint(call.outputs) for _, value in call.inputs):
        return False
    learned = {value.id for value in graph.values.values() if value.requires_grad and value.kind != "made"}
    moved = graph.forward_of(value for _, value in call.inputs)
    return any(not moved.isdisjoint(op.reads) and not learned.isdisjoint(op.reads) for op in graph.ops)


def spread(cell: Cell) -> float | None:
    """The largest difference between rows of a value; None where there are no rows to compare."""
    whole = cell.whole
    if whole is None or whole.ndim == 0 or len(whole) < 2 or not whole.size or "float" not in str(whole.dtype):
        return None
    wide = whole.reshape(len(whole), -1).astype(np.float32)
    return float((wide.max(0) - wide.min(0)).max())


def varies(cell: Cell) -> bool:
    """Whether the first rows of a value differ from each other."""
    whole = cell.whole
    if whole is None:
        return bool(cell.shape)  # what was not looked at is taken to differ
    if whole.ndim == 0 or len(whole) < 2 or not whole.size:
        return False
    return bool((whole[1:ROWS] != whole[:1]).any())


def final(calls_seen: Iterable[Call], graph: Graph) -> list[Call]:
    """The calls in what is differentiated whose outputs no other model is given."""
    mine = [call for call in calls_seen if call.grad]
    return [call for call in mine if not _given_on(call, mine, graph)]


def _given_on(call: Call, others: Sequence[Call], graph: Graph) -> bool:
    after: Any = graph.forward_of(call.outputs)
    return any(other is not call and any(value in after for _, value in other.inputs) for other in others)
