"""Recorder: hears the hooks and keeps, for every step, its values and operations in order.

A compiled call is run by a probe and told operation by operation; an eager operation is told as it comes. Arrays are
known by identity while their step lasts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from smokestep.backends.jax import frames, keys, spreads, telling, trees, vocabulary
from smokestep.backends.jax.arrays import key_of, renewed, same, small, uniform
from smokestep.backends.jax.cells import Cell, Differentiation, Turn
from smokestep.backends.jax.equations import file_of, floating, marked
from smokestep.backends.jax.groups import Group, grouped
from smokestep.backends.jax.hooks import Hooks
from smokestep.backends.jax.markers import backward_p, forward_p, results_p
from smokestep.backends.jax.notes import note_p
from smokestep.backends.jax.probe import Measured, gradients_told, most
from smokestep.backends.jax.programs import branching, compiled, eager_body, evaluator, felt_compiled, program_of
from smokestep.backends.jax.sketch import Plain, Sketch, Step
from smokestep.evidence.keys import Use
from smokestep.facts import told
from smokestep.findings import Line

AHEAD = (
    "the step runs a program that was compiled ahead of time (`.lower(...).compile()`), which cannot be looked into: "
    "call the jitted function itself in what is examined"
)


class Recorder:
    """All that was heard. `turn` is the step that runs."""

    def __init__(self) -> None:
        self.serial = itertools.count()
        self.turns: list[Turn] = []
        self.turn: Turn | None = None
        self.known: dict[Any, int] = {}
        self.kept: list[Any] = []
        self.pending = Sketch()
        self.numbers: dict[Any, int] = {}  # of the pending eager operations: array -> number
        self.arrays: dict[int, Any] = {}
        self.paths: list[frames.Path] = []
        self.runs: dict[int, Differentiation] = {}
        self.batch: list[tuple[str, Any]] = []
        self.uses: list[Use] = []
        self.lost = ""  # the compiled function that could not be followed, and why
        self.hooks = Hooks(self.jit, self.eager, self.opaque, evaluator, self.switch)

    # ── the bounds of a step ───────────────────────────────────────────────────────────────────────────────────
    def begin(self, name: str, state: dict[tuple[str, ...], trees.Leaf], batch: Sequence[tuple[str, Any]]) -> None:
        """A step begins, with these leaves."""
        self.turn = turn = Turn(len(self.turns), name, next(self.serial))
        self.turns.append(turn)
        self.known, self.kept, self.runs = {}, [], {}
        self.fresh()
        for path, leaf in state.items():
            turn.before[path] = leaf.value
            turn.entered[path] = self.register(leaf.value, "input", source=path).id
        self.batch = list(batch)
        for label, array in self.batch:
            cell = self.register(array, "input", name=label)
            cell.uniform = uniform(array)
            if isinstance(array, jax.Array):  # what is done with one of NumPy is not all seen
                turn.given.append(cell.id)

    def end(self, state: dict[tuple[str, ...], trees.Leaf]) -> None:
        """The step has ended, and this is what it left."""
        turn = self.turn
        if turn is None:
            return
        self.flush()
        for path, leaf in state.items():
            turn.after[path] = leaf.value
            found = self.known.get(key_of(leaf.value))
            if found is not None:
                turn.left[path] = found
        self.turn = None
        self.known, self.kept, self.runs = {}, [], {}

    def idle(self, patience: int) -> bool:
        """Whether gradients were taken and reached nothing of what any step left: a loop may update more rarely."""
        if len(self.turns) >= patience or not any(turn.backwards for turn in self.turns):
            return False
        return not any(turn.taint.get(left) for turn in self.turns for left in turn.left.values())

    def blind(self) -> str:
        """Why nothing was seen to be differentiated, though something ran that could not be looked into; else ""."""
        if any(turn.forwards for turn in self.turns):
            return ""
        return AHEAD if self.hooks.ahead else f"{self.lost}, so nothing of a training was seen" if self.lost else ""

    def register(self, array: Any, kind: Any, name: str = "", source: tuple[str, ...] | None = None) -> Cell:
        """A value for an array that is there already."""
        assert self.turn is not None
        found = self.known.get(key_of(array))
        if found is not None:
            return self.turn.cells[found]
        cell = self.cell(kind, getattr(array, "shape", ()), str(getattr(array, "dtype", "")), name=name, source=source)
        if trees.is_array(array) and array.size and not trees.is_key(array):
            cell.peak = most(array) if array.size <= 1 << 20 else None
        self.known[key_of(array)] = cell.id
        self.kept.append(array)
        return cell

    def cell(self, kind: Any, shape: Any, dtype: str, **fields: Any) -> Cell:
        """A further value of this step."""
        assert self.turn is not None
        cell = Cell(next(self.serial), self.turn.step, kind, tuple(shape), dtype, **fields)
        self.turn.cells[cell.id] = cell
        return cell

    def value_of(self, array: Any) -> int:
        """The value that an array is; one that was not seen before is an input of the step."""
        found = self.known.get(key_of(array))
        if found is not None:
            return found
        for _, each in self.batch:
            if same(array, each):
                found = self.known[key_of(array)] = self.known[key_of(each)]
                self.kept.append(array)
                return found
        return self.register(array, "input").id

    # ── what the hooks tell ────────────────────────────────────────────────────────────────────────────────────
    def opaque(self, name: str) -> None:
        """A function was differentiated whose inside cannot be seen."""
        if self.turn is not None:
            self.turn.opaque.append((name, frames.lines(frames.of_stack(2))[0]))

    def switch(self, label: str, training: bool, line: Line | None) -> None:
        """A module was put into training or evaluation mode."""
        if self.turn is not None:
            self.turn.switches.append((label, training, line))

    def jit(self, closed: Any, arguments: list[Any], name: str) -> list[Any] | None:
        """A compiled call."""
        place = frames.library(file_of(closed))
        path = frames.of_stack(2)
        if self.turn is None:
            return None
        if place and not marked(closed.jaxpr) and place.startswith(("jax/_src/", "jax/", "optax/", "numpy/")):
            return self._library_call(closed, arguments, name, place, path)
        self.flush()
        with self.hooks.apart():
            try:
                probe, ran = program_of(closed)(arguments)
            except (FloatingPointError, MemoryError):
                raise
            except Exception as error:
                if _users_own(error):
                    raise
                self.turn.opaque.append((name or "a compiled function", frames.lines(path)[0]))
                self.lost = f"`{name}` could not be followed ({told(error)})" if name else self.lost
                self.kept.append(arguments)
                return None
            telling.tell_unit(self, probe, arguments, ran, path)
        return ran.outputs

    def _library_call(self, closed: Any, arguments: list[Any], name: str, place: str, path: frames.Path) -> list[Any]:
        with self.hooks.apart():
            outs = list(compiled(closed)(*arguments))
        inexact = [floating(each) for each in closed.out_avals]
        step = Step(vocabulary.of_jit(name, place), "jit", (), (), lambda *args: args, path)
        step.carries = lambda given: [any(given) and each for each in inexact]
        self._eager_step(step, arguments, outs)
        return outs

    def eager(self, primitive: Any, arguments: tuple[Any, ...], params: dict[str, Any], run: Any) -> Any:
        """An eager operation."""
        path = frames.of_stack(2)
        if self.turn is None:
            return run()
        if primitive is forward_p:
            self.flush()
            self._forward(arguments, params, path)
            return []
        if primitive is backward_p:
            self.flush()
            outs = self._passed(arguments[params["counted"] :])
            self._backward(arguments, outs, params, path)
            return outs
        if primitive is results_p:
            outs = self._passed(arguments)
            self._results(outs, params)
            return outs
        if primitive is note_p:
            self.flush()
            with self.hooks.apart():
                telling.tell_note(self, params["note"], arguments, path)
            return []
        if primitive.name == "cond":
            with self.hooks.apart():
                closed = branching(arguments, primitive, params)
            taken = self.jit(closed, list(arguments), "cond")
            if taken is not None:
                return taken
        result = run()
        outs = list(result) if primitive.multiple_results else [result]
        if not outs or primitive.name == "stage":
            for out in outs:
                self._alias(out, arguments[0])
            return result
        name = vocabulary.PRIMITIVES.get(primitive.name, primitive.name)
        plain = {key: value for key, value in params.items() if isinstance(value, (bool, int, float, str, tuple))}
        step = Step(name, primitive.name, (), (), lambda *args: args, path, params=plain)
        step.opaque = primitive.name in ("scan", "while", "cond", "shard_map", "pallas_call")
        self._eager_step(step, arguments, outs)
        return result

    def _alias(self, out: Any, array: Any) -> None:
        if trees.is_array(out):
            self.known[key_of(out)] = self.value_of(array)
            self.kept.append(out)

    @staticmethod
    def _passed(arrays: Sequence[Any]) -> list[Any]:
        """The same arrays as new objects, so that they are known apart."""
        return [renewed(each) for each in arrays]

    # ── eager operations, told when a compiled call or a differentiation follows ───────────────────────────────
    def fresh(self) -> None:
        """No eager operation is waiting."""
        self.pending, self.numbers, self.arrays = Sketch(), {}, {}

    def _number(self, array: Any) -> Any:
        if not trees.is_array(array) and not isinstance(array, np.ndarray) and getattr(array, "shape", ()) == ():
            return Plain(array)
        where = key_of(array)
        if where not in self.numbers:
            number = self.numbers[where] = self.pending.new(jax.typeof(array))
            self.arrays[number] = array
            self.pending.inputs.append(number)
            self.kept.append(array)
        return self.numbers[where]

    def _eager_step(self, step: Step, arguments: Sequence[Any], outs: Sequence[Any]) -> None:
        step.reads = tuple(self._number(each) for each in arguments)
        made = []
        for out in outs:
            number = self.pending.new(jax.typeof(out))
            self.numbers[key_of(out)] = number
            self.arrays[number] = out
            self.kept.append(out)
            made.append(number)
        step.makes = tuple(made)
        self.pending.steps.append(step)
        kind = keys.kind_of(step)
        key = next((each for each in arguments if keys.is_key(each, step)), None)
        if kind is not None and key is not None:
            with self.hooks.apart():
                telling.tell_use(
                    self,
                    kind,
                    keys.name_of(step),
                    tuple(getattr(outs[0], "shape", ())),
                    keys.told(keys.bits(key)),
                    step.path,
                )

    def flush(self) -> None:
        """Tell the eager operations that are waiting."""
        pending, arrays = self.pending, self.arrays
        if not pending.steps:
            return
        pending.outputs = list(range(len(pending.avals)))
        self.fresh()
        ids = {number: self.value_of(arrays[number]) for number in pending.inputs}
        groups = grouped(pending)
        read = {number for group in groups for number in (*group.reads,)}
        for group in groups:
            if isinstance(group, Group):
                inside = {m for step in group.steps for m in step.makes}
                later = {r for other in groups if other is not group for r in other.reads}
                last = group.steps[-1].makes
                group.makes = tuple(m for m in inside if m in later or m in last)
        del read
        wanted = [m for group in groups if isinstance(group, Group) for m in group.makes]
        own = Measured({n: most(arrays[n]) for n in wanted if small(arrays[n])})
        own.whole = {
            n: np.asarray(arrays[n])
            for group in groups
            if isinstance(group, Group) and group.kind == "loss"
            for n in (*group.reads, *group.makes)
            if small(arrays[n])
        }
        for group in groups:
            if isinstance(group, Group):
                telling.tell_group(self, group, ids, own, pending, (), None)
                for number in group.makes:
                    self.known[key_of(arrays[number])] = ids[number]
                    self.kept.append(arrays[number])

    # ── differentiations that run eagerly ──────────────────────────────────────────────────────────────────────
    def _forward(self, arguments: Sequence[Any], params: dict[str, Any], path: frames.Path) -> None:
        with self.hooks.apart():
            body, measured = eager_body(params, arguments)
            operands = [self.value_of(each) if trees.is_array(each) else None for each in arguments]
            found = telling.tell_body(self, body, operands, measured, path)
            found.key = params["key"]
            self.runs[params["key"]] = found
            found.body = (body, list(arguments))

    def _backward(
        self, arguments: Sequence[Any], outs: Sequence[Any], params: dict[str, Any], path: frames.Path
    ) -> None:
        run = self.runs.get(params["key"])
        if run is None or not isinstance(run.body, tuple):
            return
        body, operands = run.body
        with self.hooks.apart():
            cts = list(arguments[: params["counted"]])
            table = gradients_told(body, felt_compiled(body, params["batched"])(operands, cts))
            cells, peaks = [], []
            for each in outs:
                cells.append(self.cell("made", each.shape, str(each.dtype)).id)
                peaks.append(most(each) if each.size else None)
                self.known[key_of(each)] = cells[-1]
                self.kept.append(each)
            apart = [spreads.of(each) for each in outs]
            telling.tell_backward(self, run, params["places"], cells, peaks, table, path, apart)

    def _results(self, outs: Sequence[Any], params: dict[str, Any]) -> None:
        run = self.runs.get(params["key"])
        for place, out in zip(params["places"], outs, strict=True):
            found = run.operands.get(place, -1) if run is not None else -1
            if found >= 0:
                self.known[key_of(out)] = found
                self.kept.append(out)


def _users_own(error: BaseException) -> bool:
    """Whether an exception comes from a callback of the user's."""
    return "callback" in str(error).lower()
