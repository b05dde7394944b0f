"""Recorder: hears the hooks and keeps, for every step, its values and operations in order.

A compiled call is run by a probe and told operation by operation; an eager operation is told as it comes. Arrays are
known by identity while their step lasts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax._src import core

from smokestep.backends.jax import frames, keys, trees, vocabulary
from smokestep.backends.jax.cells import Arithmetic, Backed, Cell, Differentiation, Gradient, Made, Turn
from smokestep.backends.jax.groups import Group, grouped
from smokestep.backends.jax.hooks import Hooks
from smokestep.backends.jax.markers import backward_p, forward_p, results_p
from smokestep.backends.jax.probe import Body, Measured, Probe, Ran, body_of, felt, gradients_told, measured_of, measures, most, quickly
from smokestep.evidence.keys import Use
from smokestep.backends.jax.sketch import Plain, Sketch, Step, _file, floating, marked, sketch

_probes: dict[int, tuple[Any, Probe]] = {}  # by the identity of a traced program, which is kept
_bodies: dict[str, tuple[Body, Any]] = {}  # by the text of a differentiated function that runs eagerly
_evaluators: dict[str, Any] = {}
MOST = 64  # of either kept


class Recorder:
    """All that was heard. `turn` is the step that runs."""

    def __init__(self, wanted: Callable[[Recorder], None] | None = None) -> None:
        self.wanted = wanted  # of a loop that is watched: asked whenever a further step begins
        self.sites: set[Any] = set()  # the differentiations of the step that runs
        self.previous: tuple[Turn, dict[Any, int]] | None = None
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
        self.by_id: dict[int, Any] = {}
        self.hooks = Hooks(self.jit, self.eager, self.opaque, evaluator)

    # ── the bounds of a step ───────────────────────────────────────────────────────────────────────────────────
    def begin(self, name: str, state: dict[tuple[str, ...], trees.Leaf], batch: Sequence[tuple[str, Any]]) -> None:
        """A step begins, with these leaves."""
        self.turn = turn = Turn(len(self.turns), name, next(self.serial))
        self.turns.append(turn)
        self.known, self.kept, self.runs, self.by_id = {}, [], {}, {}
        self.fresh()
        for path, leaf in state.items():
            turn.before[path] = leaf.value
            turn.entered[path] = self.register(leaf.value, "input", source=path).id
        self.batch = list(batch)
        for label, array in self.batch:
            cell = self.register(array, "input", name=label)
            cell.uniform = _uniform(array)

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

    def _turns(self, sites: Sequence[Any]) -> None:
        """Of a loop that is watched: a step ends where a differentiation comes round again."""
        if not sites:
            return
        if self.turn is None or self.sites.intersection(sites):
            self.close()
            assert self.wanted is not None
            self.wanted(self)
            if self.hooks.busy:
                return
            self.begin("", {}, ())
            self.sites = set()
        self.sites.update(sites)

    def close(self) -> None:
        """A step of a watched loop is over; what it left is known when the next one begins."""
        if self.turn is not None:
            self.flush()
            self.previous = self.turn, self.known
            self.turn = None

    def _found(self, cell: Cell, name: str, array: Any, names: tuple[str, ...]) -> None:
        """Of a loop that is watched: what is differentiated is a parameter, and says what the step before left."""
        assert self.turn is not None
        path = (*(part for part in name.split(".") if part),) or ("parameter",)
        if path in self.turn.entered and self.turn.entered[path] != cell.id:
            path = (f"tree{len([each for each in self.turn.entered if each[-len(path) :] == path]) + 1}", *path)
        cell.source = path
        self.turn.entered.setdefault(path, cell.id)
        self.turn.before.setdefault(path, array)
        if self.previous is not None and path in self.previous[0].before and path not in self.previous[0].after:
            turn, known = self.previous
            turn.after[path] = array
            if (found := known.get(key_of(array))) is not None:
                turn.left[path] = found

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
        self.by_id[cell.id] = array
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
            if _same(array, each):
                found = self.known[key_of(array)] = self.known[key_of(each)]
                self.kept.append(array)
                return found
        return self.register(array, "input").id

    # ── what the hooks tell ────────────────────────────────────────────────────────────────────────────────────
    def opaque(self, name: str) -> None:
        """A function was differentiated whose inside cannot be seen."""
        if self.turn is not None:
            self.turn.opaque.append((name, frames.lines(frames.of_stack(2))[0]))

    def jit(self, closed: Any, arguments: list[Any], name: str) -> list[Any] | None:
        """A compiled call."""
        place = frames.library(_file(closed))
        path = frames.of_stack(2)
        self._turns(sites_of(closed.jaxpr) if self.wanted else ())
        if self.turn is None:
            return None
        if place and not marked(closed.jaxpr) and place.startswith(("jax/_src/", "jax/", "optax/", "numpy/")):
            return self._library_call(closed, arguments, name, place, path)
        self.flush()
        with self.hooks.apart():
            probe = probe_of(closed)
            try:
                ran = probe(arguments)
            except (FloatingPointError, MemoryError):
                raise
            except Exception as error:
                if _users_own(error):
                    raise
                self.turn.opaque.append((name or "a compiled function", frames.lines(path)[0]))
                self.kept.append(arguments)
                return None
            self.unit(probe, arguments, ran, path)
        return ran.outputs

    def _library_call(self, closed: Any, arguments: list[Any], name: str, place: str, path: frames.Path) -> list[Any]:
        with self.hooks.apart():
            outs = list(jax.jit(core.jaxpr_as_fun(closed))(*arguments))
        inexact = [floating(each) for each in closed.out_avals]
        step = Step(vocabulary.of_jit(name, place), "jit", (), (), lambda *args: args, path)
        step.carries = lambda given: [any(given) and each for each in inexact]
        self._eager_step(step, arguments, outs)
        return outs

    def eager(self, primitive: Any, arguments: tuple[Any, ...], params: dict[str, Any], run: Any) -> Any:
        """An eager operation."""
        path = frames.of_stack(2)
        if self.wanted and primitive is forward_p:
            self._turns([(params["names"], frames.lines(path)[0])])
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
        return [_renewed(each) for each in arrays]

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
                self._used(kind, keys.name_of(step), tuple(getattr(outs[0], "shape", ())), keys.told(keys.bits(key)), step.path)

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
        own = Measured({n: most(arrays[n]) for n in wanted if _small(arrays[n])})
        own.whole = {
            n: np.asarray(arrays[n])
            for group in groups
            if isinstance(group, Group) and group.kind == "loss"
            for n in (*group.reads, *group.makes)
            if _small(arrays[n])
        }
        for group in groups:
            if isinstance(group, Group):
                self._group(group, ids, own, pending, (), None)
                for number in group.makes:
                    self.known[key_of(arrays[number])] = ids[number]
                    self.kept.append(arrays[number])

    # ── compiled calls ─────────────────────────────────────────────────────────────────────────────────────────
    def unit(self, probe: Probe, arguments: Sequence[Any], ran: Ran, path: frames.Path) -> None:
        """Tell what a compiled call did."""
        found = probe.sketch
        ids = {number: self.value_of(array) for number, array in zip(found.inputs, arguments, strict=True)}
        ids |= {number: self.value_of(array) for number, array in found.constants.items()}
        runs: dict[int, Differentiation] = {}
        self._keys(found, ran.own, path)
        places = {id(step): number for number, step in enumerate(found.steps)}
        for group in probe.groups:
            if isinstance(group, Group):
                self._group(group, ids, ran.own, found, path, None)
                continue
            number = places[id(group)]
            if group.name == "forward":
                operands = [None if isinstance(each, Plain) else ids[each] for each in group.reads]
                run = self._body(probe.bodies[number], operands, ran.bodies[number], (*group.path, *path))
                runs[group.params["key"]] = run
            elif group.name == "results":
                self._join(group, ids, runs.get(group.params["key"]))
            else:
                table, cts = ran.backwards.get(number, ({}, []))
                self._gradients(group, ids, runs.get(group.params["key"]), table, ran.own, found, (*group.path, *path))
        for read, out in zip(found.outputs, ran.outputs, strict=True):
            if not isinstance(read, Plain) and read in ids and trees.is_array(out):
                self.known[key_of(out)] = ids[read]
                self.kept.append(out)

    def _group(
        self,
        group: Group,
        ids: dict[int, int],
        measured: Measured,
        found: Sketch,
        outer: frames.Path,
        body: Body | None,
        base: int | None = None,
    ) -> None:
        turn = self.turn
        assert turn is not None
        reads = tuple(ids[each] for each in group.reads if ids.get(each, -1) >= 0)
        taint = 0
        for each in reads:
            taint |= turn.taint.get(each, 0)
        serial = next(self.serial)
        path = (*group.path, *outer)
        optimizing = body is None and group.optimizing
        made = []
        for number in group.makes:
            aval = found.avals[number]
            cell = self.cell("made", getattr(aval, "shape", ()), str(getattr(aval, "dtype", "")), op=serial)
            cell.peak, cell.whole = measured.peaks.get(number), measured.whole.get(number)
            cell.requires_grad = body is not None and body.requires[number]
            ids[number] = cell.id
            made.append(cell.id)
            if taint:
                turn.taint[cell.id] = taint
        for number in group.reads:
            if number in measured.whole and ids.get(number, -1) >= 0:
                turn.cells[ids[number]].whole = measured.whole[number]
        for step in group.steps:  # what only the group itself reads has no value of its own
            for number in step.makes:
                ids.setdefault(number, made[-1] if made else -1)
        if body is None and (taint or optimizing):
            for each in made:
                turn.made_of[each] = len(turn.arithmetic)
            applying = group.within("apply_updates")
            turn.arithmetic.append(
                Arithmetic(serial, group.name, reads, tuple(made), path, optimizing, applying, group.args)
            )
            return
        args = dict(group.args)
        if any(step.primitive.startswith("reduce_") for step in group.steps):
            args["batch statistics"] = True
        turn.ops.append(
            Made(
                serial,
                group.name,
                group.kind,
                reads,
                tuple(made),
                path,
                module_of(group.module),
                body is not None,
                args,
                group.outer,
                group.label,
                group.opaque,
                base,
            )
        )

    def _body(
        self, body: Body, operands: Sequence[int | None], measured: Measured, path: frames.Path
    ) -> Differentiation:
        """Tell a differentiated function: its primals and constants are values of their own."""
        turn = self.turn
        assert turn is not None
        params, found = body.step.params, body.sketch
        index = next(self.serial)
        ids: dict[int, int] = {}
        primals = []
        for place, (number, operand) in enumerate(zip(found.inputs, operands, strict=True)):
            aval = found.avals[number]
            outer = turn.cells[operand] if operand is not None else None
            if self.wanted and outer is not None and place < params["counted"]:
                root = self._root_of(outer)
                if root is not None and root.source is None and root.id in self.by_id:
                    self._found(root, params["names"][place], self.by_id[root.id], params["names"])
            differentiated = place < params["counted"] and floating(aval)
            if outer is not None and not differentiated and outer.source is None:
                ids[number] = outer.id
                continue
            cell = self.cell("input", getattr(aval, "shape", ()), str(getattr(aval, "dtype", "")))
            cell.origin = operand
            cell.requires_grad = differentiated
            cell.peak = measured.peaks.get(number)
            if outer is not None:
                cell.source, cell.name, cell.uniform = outer.source, outer.name, outer.uniform
                cell.kind = "leaf" if differentiated else "input"
            ids[number] = cell.id
            if place < params["counted"]:
                primals.append(cell.id)
        for number, array in found.constants.items():
            ids[number] = self.value_of(array)
        line = frames.lines(path)[0]
        self._keys(found, measured, path)
        for group in body.groups:
            if isinstance(group, Group):
                self._group(group, ids, measured, found, path, body, index)
            elif group.name == "results":
                for read, made in zip(group.reads, group.makes, strict=True):
                    ids[made] = ids.get(read, -1) if not isinstance(read, Plain) else -1
            elif group.name == "backward":
                for read, made in zip(group.reads[group.params["counted"] :], group.makes, strict=True):
                    ids[made] = ids.get(read, -1) if not isinstance(read, Plain) else -1
        roots = tuple(
            -1 if isinstance(each, Plain) else ids.get(each, -1)
            for each, root in zip(found.outputs, params["roots"], strict=True)
            if root
        )
        for number in found.inputs:
            if number in measured.whole:
                turn.cells[ids[number]].whole = measured.whole[number]
        outputs = {place: ids.get(each, -1) for place, each in enumerate(found.outputs) if not isinstance(each, Plain)}
        run = Differentiation(index, params["key"], line, path, ids, tuple(primals), params["names"], roots, body)
        run.operands = outputs
        turn.forwards.append(run)
        self.runs[params["key"]] = run
        return run

    def _keys(self, found: Sketch, measured: Measured, outer: frames.Path) -> None:
        """Tell the uses of random keys."""
        for drawn, each in measured.drawn:
            step = found.steps[drawn.step]
            self._used(drawn.kind, drawn.name, drawn.shape, each, (*step.path, *outer), module_of(step.module))

    def _used(
        self, kind: Any, name: str, shape: tuple[int, ...], bits: list[int], path: frames.Path, module: str = ""
    ) -> None:
        line, own = frames.lines(path)
        assert self.turn is not None
        for key in bits:
            caller = own[0] if own else line
            self.uses.append(
                Use(next(self.serial), self.turn.step, key, kind, name, shape, line, caller, module, self.turn.name)
            )

    def _root_of(self, cell: Cell) -> Cell | None:
        """The value that stood at the beginning of the step, if a value is that, or a mere cast of it."""
        assert self.turn is not None
        for _ in range(6):
            if cell.op is None:
                return cell if cell.kind == "input" else None
            op = next((each for each in self.turn.ops if each.id == cell.op), None)
            if op is None or len(op.reads) != 1 or self.turn.cells[op.reads[0]].shape != cell.shape:
                return None
            cell = self.turn.cells[op.reads[0]]
        return None

    def _join(self, step: Step, ids: dict[int, int], run: Differentiation | None) -> None:
        """What comes out of a differentiated function is what its body made."""
        for place, (read, made) in enumerate(zip(step.reads, step.makes, strict=True)):
            found = run.operands.get(place, -1) if run is not None else -1
            if found >= 0:
                ids[made] = found
            else:
                aval = getattr(read, "aval", None)
                ids[made] = self.cell("unknown", getattr(aval, "shape", ()), "").id

    def _gradients(
        self,
        step: Step,
        ids: dict[int, int],
        run: Differentiation | None,
        table: Any,
        measured: Measured,
        found: Sketch,
        path: frames.Path,
    ) -> None:
        counted = step.params["counted"]
        run = run or self.runs.get(step.params["key"])
        peaks = [measured.peaks.get(made) for made in step.makes]
        cells = []
        for made in step.makes:
            aval = found.avals[made]
            cell = self.cell("made", getattr(aval, "shape", ()), str(getattr(aval, "dtype", "")))
            ids[made] = cell.id
            cells.append(cell.id)
        del counted
        if run is not None:
            self._backed(run, step.params["places"], cells, peaks, table, path)

    def _backed(
        self,
        run: Differentiation,
        places: Sequence[int],
        cells: Sequence[int],
        peaks: Sequence[Any],
        table: Any,
        path: frames.Path,
    ) -> None:
        """A backward pass: its event, the gradients of the values it went through, and those that came out."""
        turn = self.turn
        assert turn is not None
        for number, (top, middle) in (table or {}).items():
            cell = turn.cells.get(run.ids.get(number, -1))
            if cell is not None and (cell.gradient is None or top >= cell.gradient or top != top):
                cell.gradient, cell.mean = top, middle
        roots = tuple(root for root in run.roots if root >= 0)
        # gradient modes of JAX reach whatever is differentiated; what does not depend on it is given zeros
        backed = Backed(next(self.serial), run, roots, frames.lines(path)[0] or run.line)
        if len(roots) == 1 and turn.cells[roots[0]].whole is not None and turn.cells[roots[0]].whole.size == 1:
            backed.loss = float(np.real(turn.cells[roots[0]].whole.reshape(())))
        for place, cell, peak in zip(places, cells, peaks, strict=True):
            if place < len(run.primals):
                gradient = Gradient(len(turn.backwards), run.primals[place], cell, peak)
                turn.taint[cell] = 1 << len(turn.gradients)
                turn.gradients.append(gradient)
                backed.gradients.append(gradient)
        turn.backwards.append(backed)

    # ── differentiations that run eagerly ──────────────────────────────────────────────────────────────────────
    def _forward(self, arguments: Sequence[Any], params: dict[str, Any], path: frames.Path) -> None:
        with self.hooks.apart():
            body, run = eager_body(params)
            measured = run(arguments)
            operands = [self.value_of(each) if trees.is_array(each) else None for each in arguments]
            found = self._body(body, operands, measured, path)
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
            self._backed(run, params["places"], cells, peaks, table, path)

    def _results(self, outs: Sequence[Any], params: dict[str, Any]) -> None:
        run = self.runs.get(params["key"])
        for place, out in zip(params["places"], outs, strict=True):
            found = run.operands.get(place, -1) if run is not None else -1
            if found >= 0:
                self.known[key_of(out)] = found
                self.kept.append(out)


def sites_of(jaxpr: Any) -> list[Any]:
    """The differentiations in a program: what they are of, and where."""
    found: list[Any] = []
    for eqn in jaxpr.eqns:
        if eqn.primitive is forward_p:
            line = frames.lines(frames.of_traceback(eqn.source_info.traceback))[0]
            found.append((eqn.params["names"], line))
        else:
            for inner in core.jaxprs_in_params(eqn.params):
                found += sites_of(inner)
    return found


def module_of(stack: str) -> str:
    """The module path in a name stack: "Net/Dense_0" of one model is "Dense_0"."""
    parts = [each for each in stack.split("/") if each and "(" not in each and each != "smokestep-apart"]
    return ".".join(parts[1:])


def key_of(array: Any) -> Any:
    """What an array is known by: itself, or the memory of a NumPy array."""
    if isinstance(array, np.ndarray):
        return ("numpy", array.__array_interface__["data"][0], array.shape, array.dtype.str)
    return id(array)


def _same(array: Any, other: Any) -> bool:
    """Whether an array holds what an element of the batch holds: it was moved, and not seen to be."""
    if getattr(array, "shape", None) != getattr(other, "shape", ()) or not getattr(array, "size", 0) > 1:
        return False
    if trees.is_key(array) or trees.is_key(other) or array.size > 1 << 22:
        return False
    try:
        return bool((np.asarray(array) == np.asarray(other)).all())
    except (TypeError, ValueError):
        return False


def _uniform(array: Any) -> bool:
    if trees.is_key(array) or not 0 < array.size <= 65_536:
        return False
    flat = np.asarray(array).reshape(-1)
    return bool((flat == flat[0]).all())


def _small(array: Any) -> bool:
    return trees.is_array(array) and not trees.is_key(array) and 0 < array.size <= 1 << 20


def _renewed(array: Any) -> Any:
    if isinstance(array, jax.Array) and not isinstance(array, jax.core.Tracer):
        return _view(array)
    return array


def _view(array: Any) -> Any:
    from jax._src.array import ArrayImpl

    if type(array) is not ArrayImpl:
        return array
    return ArrayImpl(array.aval, array.sharding, list(array._arrays), committed=array._committed, _skip_checks=True)


def _users_own(error: BaseException) -> bool:
    """Whether an exception comes from a callback of the user's."""
    return "callback" in str(error).lower()


def probe_of(closed: Any) -> Probe:
    """The probe of a traced program, made once."""
    found = _probes.get(id(closed.jaxpr))
    if found is None:
        if len(_probes) >= MOST:
            _probes.pop(next(iter(_probes)))
        found = _probes[id(closed.jaxpr)] = closed.jaxpr, Probe(sketch(closed))
    return found[1]


def evaluator(closed: Any) -> Any:
    """A compiled function of a traced program, for what runs eagerly; alike programs of several steps are one."""
    text = f"{_places(closed.jaxpr)}{closed}"
    if text not in _evaluators:
        if len(_evaluators) >= MOST:
            _evaluators.pop(next(iter(_evaluators)))
        _evaluators[text] = jax.jit(core.jaxpr_as_fun(closed))
    return _evaluators[text]


def eager_body(params: dict[str, Any]) -> tuple[Body, Any]:
    """A differentiated function that runs eagerly, and what measures it; alike ones of several steps are made once."""
    closed = params["jaxpr"]
    text = f"{params['names']}{params['counted']}{params['roots']}{params['batched']}{_places(closed.jaxpr)}{closed}"
    if text not in _bodies:
        inner = sketch(closed)
        inner.effects = bool(closed.effects)
        step = Step(
            "forward",
            forward_p.name,
            tuple(inner.inputs),
            (),
            lambda *args: (),
            (),
            "",
            {key: value for key, value in params.items() if key != "jaxpr"},
            body=inner,
        )
        body = body_of(step)
        compiled = jax.jit(
            lambda *given: measures(inner.run(given), body.measured, body.kept, body.drawn),
            compiler_options=quickly(),
        )

        def run(given: Sequence[Any]) -> Measured:
            return measured_of(body.measured, body.kept, body.drawn, compiled(*given))

        if len(_bodies) >= MOST:
            _bodies.pop(next(iter(_bodies)))
        _bodies[text] = body, run
    return _bodies[text]


_felt: dict[tuple[int, int], Any] = {}


def felt_compiled(body: Body, batched: int) -> Any:
    """What gives the gradients of every value of a body."""
    where = (id(body), batched)
    if where not in _felt:
        _felt[where] = body, jax.jit(lambda o, c: felt(body, o, c, batched), compiler_options=quickly())
    return _felt[where][1]


def _places(jaxpr: Any) -> str:
    """The user's lines of a program, so that the same program from another place is another one."""
    found = []
    for eqn in jaxpr.eqns:
        calls, user = frames.calls(frames.of_traceback(eqn.source_info.traceback))
        found.append(f"{user.file}:{user.number}" if user else "")
    return "|".join(dict.fromkeys(found))
