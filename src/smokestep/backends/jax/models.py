"""Models: the calls of modules, from their notes, and of models that are plain functions, from the graph.

Kept apart from the flow, whose one call for each differentiated function is what the experiments are made on.
"""

from __future__ import annotations

import os.path
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Models:
    """The graphs with the calls of models. `owners`: of models that nothing trains, by parameter; `held`: the same, by
    the identity of the note of a dropout in them."""

    flow: Flow
    owners: Mapping[str, str]
    held: Mapping[int, str]


def models(turns: Sequence[Turn], graphs: Sequence[Graph], losses: Sequence[LossCall]) -> Models:
    """What is known of the models in a recording."""
    found, owners, held = [], dict[str, str](), dict[int, str]()
    trained = {v.name for graph in graphs for v in graph.values.values() if v.kind == "parameter" and v.requires_grad}
    for turn, graph in zip(turns, graphs, strict=True):
        graph = _whole(turn, graph)
        seen = list(_modules(turn, graph))
        within = {each.body for each, _ in seen}
        modules = []
        for visits, call in seen:
            own = _parameters(graph, call)
            if own and not own & trained and not call.grad:
                name = f"{call.model} ({_common(own) or 'not trained'})"
                call = replace(call, model=name)
                owners.update(dict.fromkeys(own, name))
                held.update({id(each): name for each in visits.dropouts})
            modules.append(call)
        plain = list(_plain(turn, graph, within, [each for each in losses if each.step == graph.step]))
        ordered = sorted([*modules, *plain], key=lambda call: call.index)
        found.append(replace(graph, calls=tuple(each for each in ordered if not _beside(graph, each))))
    return Models(Flow(tuple(found)), owners, held)


def _parameters(graph: Graph, call: Call) -> set[str]:
    """The parameters that a call works with."""
    inputs = {value for _, value in call.inputs}
    between = graph.backward_of(call.outputs, lambda op: inputs.isdisjoint(op.makes))
    values = [graph.values[value] for value in between if value in graph.values]
    return {value.name for value in values if value.kind == "parameter" and value.name}


def _common(names: Collection[str]) -> str:
    """The part of the tree that all of these lie in, "" if that is the whole tree."""
    return ".".join(os.path.commonprefix([name.split(".")[:-1] for name in sorted(names)]))


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


@dataclass(frozen=True, slots=True)
class Visits:
    """One call of a module by its notes: what it was given, what it gave, and the dropouts in it."""

    given: Visit
    gave: Visit
    dropouts: tuple[Visit, ...]

    @property
    def body(self) -> int | None:
        """The differentiated function it was called in."""
        return self.given.body


def visits_of(turn: Turn) -> Iterator[Visits]:
    """Every call of a module in a step."""
    given: Visit | None = None
    inner: list[Visit] = []
    for visit in turn.visits:
        if visit.note.side == "dropout":
            inner.append(visit)
        elif visit.note.side == "given":
            given = visit
        else:
            alike = (visit.note.label, visit.body)
            if given is not None and (given.note.label, given.body) == alike:
                mine = tuple(each for each in inner if (each.note.label, each.body) == alike)
                yield Visits(given, visit, mine)
            given, inner = None, []


def _modules(turn: Turn, graph: Graph) -> Iterator[tuple[Visits, Call]]:
    made = {value for op in graph.ops for value in op.makes}
    for each in visits_of(turn):
        given, gave = each.given, each.gave
        inputs = tuple((n, v) for n, v in zip(given.note.names, given.values, strict=True) if v >= 0)
        outputs = tuple(dict.fromkeys(v for v in gave.values if v >= 0))
        if not inputs or not outputs or len(outputs) < len(set(gave.values)):
            continue
        if given.body is None and any(turn.cells[v].kind == "made" and v not in made for v in outputs):
            continue  # it differentiated something itself, and gives what came of it
        note = given.note
        yield (
            each,
            Call(
                step=graph.step,
                index=max(outputs),
                model=note.label,
                inputs=inputs,
                outputs=outputs,
                line=frames.lines(given.path)[0],
                grad=given.body is not None and any(turn.cells[v].requires_grad for v in outputs),
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
