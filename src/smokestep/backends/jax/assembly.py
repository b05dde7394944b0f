"""Assembly: turns what the recorder kept into evidence: names instead of arrays, numbers instead of values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smokestep.backends.jax import (
    beginnings,
    calls,
    declarations,
    frames,
    losses,
    models,
    naming,
    networks,
    optimizers,
    trees,
)
from smokestep.backends.jax.cells import Backed, Turn
from smokestep.backends.jax.dropouts import modes_of
from smokestep.backends.jax.layers import with_layers
from smokestep.backends.jax.naming import Held, Names, Path, source_of
from smokestep.backends.jax.probe import most
from smokestep.backends.jax.ranges import numbers_of
from smokestep.backends.jax.updates import Update, rescaled, updates
from smokestep.evidence.flow import Backward, Flow, Graph, Op, Value
from smokestep.evidence.keys import Keys, Use
from smokestep.evidence.losses import Losses
from smokestep.evidence.steps import Event, Movement, Parameter, Steps
from smokestep.findings import Line
from smokestep.world import Recording


class Assembly:
    """One recording on its way to evidence."""

    def __init__(
        self,
        turns: list[Turn],
        leaves: Mapping[Path, trees.Leaf],
        tops: Mapping[Path, tuple[str, ...]],
        training: Any,
        error: tuple[BaseException, Line | None] | None,
        seconds: float,
        live: bool = False,
        uses: Sequence[Use] = (),
    ) -> None:
        self.turns, self.leaves, self.training, self.error, self.seconds = turns, leaves, training, error, seconds
        self.live, self.uses = live, uses
        chosen = naming.differentiated(turns)
        leaves = self.leaves = naming.with_statistics(leaves, turns, chosen)
        aside = {path for path, leaf in leaves.items() if leaf.role != "leaf"}
        self.updates: list[list[Update]] = [updates(turn, tops, aside) for turn in turns]
        self.chosen = chosen
        self.held: list[Held] = naming.optimizers(tops, leaves, turns, self.updates, chosen)
        everything = [path for each in self.held for path in each.holds if path not in aside]
        self.names: Names = naming.named(leaves, chosen, everything)
        self.known = {**self.names.parameters, **self.names.statistics}
        self.graphs = [self._graph(turn) for turn in turns]
        self.reached = [self._reached(turn) for turn in turns]

    def recording(self) -> Recording:
        """Everything, as evidence."""
        flow = Flow(tuple(self.graphs))
        judged = tuple(losses.calls(self.turns, self.graphs))
        movements, seen = self._movements(), models.models(self.turns, self.graphs, judged)
        steps = Steps(
            count=len(self.turns),
            events=self._events(),
            parameters=self._parameters(seen.owners),
            movements=movements,
            optimizers=optimizers.evidence(self, movements),
            losses=tuple(self._loss(turn) for turn in self.turns),
            kind="live" if self.live else "training",
            own_loop=bool(getattr(self.training, "own_loop", False)),
            error=f"{type(self.error[0]).__name__}: {self.error[0]}" if self.error else None,
            error_line=self.error[1] if self.error else None,
        )
        return Recording(
            steps=steps,
            flow=flow,
            losses=Losses(judged),
            modes=modes_of(self.turns, self.graphs, self.names, self.leaves, self.chosen, seen.held),
            numbers=numbers_of(self.turns, seen.flow, self.training),
            declared=declarations.declared(
                self.training,
                self.leaves,
                self.known,
                [t.name for t in self.turns],
                movements,
                set(self.names.statistics.values()),
            ),
            seconds=self.seconds,
            keys=Keys(tuple(self.uses), True),
            called=seen.flow,
            beginnings=beginnings.evidence(self),
        )

    # ── the graph ──────────────────────────────────────────────────────────────────────────────────────────────
    def _graph(self, turn: Turn) -> Graph:
        used: set[int] = set()
        for op in turn.ops:
            used.update(op.reads)
            used.update(op.makes)
        for run in turn.forwards:
            used.update(run.primals)
            used.update(root for root in run.roots if root >= 0)
        used.update((*turn.entered.values(), *turn.given))
        by_hand = rescaled(turn)
        used.update(made for each in by_hand for made in each.makes)
        used.discard(-1)
        values: dict[int, Value] = {}
        ops: list[Op] = []
        lifted: set[int] = set()
        for run in turn.forwards:
            for primal in run.primals:
                cell = turn.cells[primal]
                if cell.source is None:
                    cell.source = source_of(turn, primal)
                if cell.source is None and cell.origin is not None and cell.requires_grad:
                    lifted.update(self._way(turn, cell.origin))
                    used.add(cell.origin)
                    ops.append(Op(cell.id, turn.step, "identity", (cell.origin,), (cell.id,), run.line, run.line))
        made = {value for op in turn.ops for value in op.makes}
        for each in used:
            cell = turn.cells[each]
            kind, name = cell.kind, cell.name
            if kind == "made" and each not in made:  # by arithmetic on gradients, which is no part of the graph
                kind, cell.source = "input", source_of(turn, each)
            if cell.source is not None:
                if cell.source in self.names.parameters:
                    kind, name = "parameter", self.names.parameters[cell.source]
                elif cell.source in self.names.statistics:
                    kind, name = "buffer", self.names.statistics[cell.source]
                else:
                    kind = "input"
            elif cell.kind == "input" and cell.origin is not None and turn.cells[cell.origin].kind == "made":
                kind = "leaf" if cell.requires_grad else "input"
            if each in lifted:
                cell.requires_grad = "float" in cell.dtype
            values[each] = cell.told(name, kind)
        for op in turn.ops:
            line, own = op.lines()
            ops.append(
                Op(
                    op.id,
                    turn.step,
                    op.name,
                    tuple(r for r in op.reads if r in values),
                    tuple(m for m in op.makes if m in values),
                    line,
                    own[0] if own else line,
                    op.module,
                    (op.grad and not op.unsure) or bool(lifted.intersection(op.makes)),
                    False,
                    False,
                    _scalars(op.args),
                    op.outer,
                    own,
                )
            )
        for each in by_hand:  # gradients are values: in the words of the evidence they are changed in place
            line = frames.lines(each.path)[0]
            ops.append(Op(each.id, turn.step, f"{each.name}_", (), each.makes, line, line, inplace=True))
        ops.sort(key=lambda op: op.id)
        backwards = tuple(
            Backward(each.index, each.roots, each.line, self._names(turn, each)) for each in turn.backwards
        )
        opaque = (*turn.opaque, *((op.name, op.lines()[0]) for op in turn.ops if op.opaque))
        called = tuple(each for each in calls.calls(turn) if all(value in values for value in each.outputs))
        graph = with_layers(Graph(turn.step, values, tuple(ops), backwards, called, opaque))
        return networks.with_calls(graph)

    def _way(self, turn: Turn, value: int) -> set[int]:
        """The values made of parameters on the way to one that is differentiated."""
        found, ahead = {value}, [value]
        makers = {made: op for op in turn.ops if not op.grad for made in op.makes}
        while ahead:
            op = makers.get(ahead.pop())
            for read in op.reads if op else ():
                if read not in found:
                    found.add(read)
                    ahead.append(read)
        return found

    def _reached(self, turn: Turn) -> dict[int, set[int]]:
        """For every backward pass (by position), the primals that its gradient may reach."""
        found = {}
        makers = {made: op for op in turn.ops if op.grad for made in op.makes}
        for position, each in enumerate(turn.backwards):
            seen = set(each.roots)
            ahead = list(seen)
            while ahead:
                op = makers.get(ahead.pop())
                for read in op.reads if op else ():
                    if read not in seen and turn.cells[read].requires_grad:
                        seen.add(read)
                        ahead.append(read)
            found[position] = seen
        return found

    def _names(self, turn: Turn, backed: Backed) -> tuple[str, ...]:
        position = turn.backwards.index(backed)
        reached = self._reached(turn)[position]
        found = [
            self.names.parameters.get(source_of(turn, each.primal) or (), "")
            for each in backed.gradients
            if each.primal in reached
        ]
        return tuple(dict.fromkeys(name for name in found if name))

    # ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _events(self) -> tuple[Event, ...]:
        found: list[Event] = []
        for turn, changes in zip(self.turns, self.updates, strict=True):
            line = frames.defined(self.training.steps.get(turn.name)) if not self.live else None
            found.append(Event(turn.index, turn.step, "step", line, turn.name))
            for run in turn.forwards:
                found.append(Event(run.index, turn.step, "forward", run.line, "", (), {"training": True, "grad": True}))
            dropped = _dropped(turn, changes)
            for place, each in enumerate(turn.backwards):
                names = self._names(turn, each)
                detail = {"loss": each.loss, "chooses": True}
                found.append(Event(each.index, turn.step, "backward", each.line, "", names, detail))
                if place in dropped:
                    found.append(Event(each.index + 1, turn.step, "zero_grad", each.line, "", names))
            for held in self.held:
                for update in held.updates.get(turn.step, ()):
                    applied = (self.names.parameters[path] for path in update.applied if path in self.names.parameters)
                    names = tuple(dict.fromkeys((*self._given(turn, update), *applied)))
                    detail = {
                        "closure": False,
                        "closure_backwards": 0,
                        "skipped": update.skipped,
                        **({} if update.skipped else {"applied": bool(update.applied)}),
                    }
                    found.append(Event(update.index, turn.step, "update", update.line, held.name, names, detail))
            for update in changes:
                if update.by_hand:
                    names = tuple(self.names.parameters[p] for p in update.applied if p in self.names.parameters)
                    detail = {"applied": bool(update.applied)}
                    names = names or self._given(turn, update)
                    if names:
                        found.append(Event(update.index, turn.step, "manual", update.line, "", names, detail))
        if self.error:
            error, line = self.error
            last = max((event.index for event in found), default=0) + 1
            detail = {"type": type(error).__name__, "message": str(error)}
            found.append(Event(last, max(len(self.turns) - 1, 0), "error", line, "", (), detail))
        unique: dict[int, Event] = {}
        for event in sorted(found, key=lambda each: each.index):
            index = event.index
            while index in unique:
                index += 1
            unique[index] = (
                event
                if index == event.index
                else Event(index, event.step, event.kind, event.line, event.subject, event.parameters, event.detail)
            )
        return tuple(unique[index] for index in sorted(unique))

    def _given(self, turn: Turn, update: Update) -> tuple[str, ...]:
        """The parameters whose gradient an update was given, of those that a backward pass reached."""
        found = []
        for position, gradient in enumerate(turn.gradients):
            if update.given >> position & 1 and gradient.primal in self.reached[turn.step][gradient.backward]:
                source = source_of(turn, gradient.primal)
                if source in self.names.parameters:
                    found.append(self.names.parameters[source])
        return tuple(dict.fromkeys(found))

    def _movements(self) -> tuple[Movement, ...]:
        found = []
        for turn, changes in zip(self.turns, self.updates, strict=True):
            received: dict[Path, float] = {}
            at_update: dict[Path, float] = {}
            for position, gradient in enumerate(turn.gradients):
                source = source_of(turn, gradient.primal)
                if source is None or gradient.primal not in self.reached[turn.step][gradient.backward]:
                    continue
                peak = gradient.peak if gradient.peak is not None else 0.0
                received[source] = peak
                if any(update.given >> position & 1 and update.used for update in changes):
                    at_update[source] = max(peak, at_update.get(source, 0.0)) if peak == peak else peak
            for path, name in self.known.items():
                before, after = turn.before.get(path), turn.after.get(path, turn.before.get(path))
                if before is None:
                    continue
                moved = distance(before, after)
                found.append(
                    Movement(
                        step=turn.step,
                        parameter=name,
                        gradient=at_update.get(path),
                        received=received.get(path),
                        update=moved,
                        scale=_scale(before),
                        rate=self._rate(turn, path, moved, at_update.get(path)),
                        called=None,
                        requires_grad=self._trainable(path),
                    )
                )
        return tuple(found)

    def _trainable(self, path: Path) -> bool:
        """Whether a leaf is meant to be trained: differentiated, held by an optimizer, or not all was seen."""
        return (
            path in self.chosen
            or any(turn.opaque for turn in self.turns)
            or any(path in held.holds for held in self.held)
        )

    def _rate(self, turn: Turn, path: Path, moved: float, gradient: float | None) -> float | None:
        """The learning rate at an update, measured: of what the optimizer added, as a share of the gradient for SGD."""
        for held in self.held:
            if path not in held.holds:
                continue
            for update in held.updates.get(turn.step, ()):
                if update.rate is not None:
                    return update.rate
                size = update.applied.get(path)
                size = moved if size is None else size
                if size and held.kind == "SGD" and gradient:
                    return float(size / gradient)
                return float(size) if size else None
        return None

    def _parameters(self, owners: Mapping[str, str]) -> tuple[Parameter, ...]:
        explicit = declarations.everywhere(self.training, self.leaves, self.known)
        found = []
        for path, name in self.names.parameters.items():
            leaf = self.leaves[path].value
            shape = tuple(leaf.shape)
            found.append(
                Parameter(
                    name=name,
                    shape=shape,
                    dtype=str(leaf.dtype),
                    size=math.prod(shape),
                    requires_grad=self._trainable(path),
                    owner=name.rpartition(".")[0],
                    model=owners.get(name, ""),
                    optimizers=tuple(held.name for held in self.held if path in held.holds),
                    explicit=name in explicit,
                )
            )
        return tuple(found)

    def _loss(self, turn: Turn) -> float | None:
        if turn.returned is not None:
            return turn.returned
        return turn.backwards[-1].loss if turn.backwards else None


def distance(before: Any, after: Any) -> float:
    """The largest |after - before|, exactly 0.0 if and only if they are bit-identical."""
    if before is after:
        return 0.0
    if trees.is_key(before) or trees.is_key(after):
        return 0.0
    one, other = np.asarray(before), np.asarray(after)
    if one.shape != other.shape:
        return math.inf
    if one.tobytes() == other.tobytes():
        return 0.0
    if one.dtype.kind not in "fc":
        one, other = one.astype(np.float64), other.astype(np.float64)
    gap = np.abs(other - one)
    top = float(gap.max()) if gap.size else 0.0
    return top if top > 0.0 or top != top else 5e-324


def _scale(value: Any) -> float:
    return 0.0 if trees.is_key(value) or not value.size else most(value)


def _scalars(args: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in args.items() if isinstance(value, (int, float, str, tuple)) and " " not in key}


def _dropped(turn: Turn, changes: Sequence[Update]) -> set[int]:
    """The backward passes of a step whose gradients no update was given, where one was given others: an evaluation."""
    given = {
        gradient.backward
        for position, gradient in enumerate(turn.gradients)
        if any(update.given >> position & 1 for update in changes)
    }
    return set(range(len(turn.backwards))) - given if given else set()
