"""Telling: turns what a probe brought back into values, operations and gradients of the step that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smokestep.backends.jax import frames, trees
from smokestep.backends.jax.arrays import key_of
from smokestep.backends.jax.cells import Arithmetic, Backed, Differentiation, Gradient, Made
from smokestep.backends.jax.equations import WEIGHTS, floating
from smokestep.backends.jax.groups import Group
from smokestep.backends.jax.notes import Note, Visit
from smokestep.backends.jax.probe import NOTED, Body, Measured, Probe, Ran
from smokestep.backends.jax.sketch import Plain, Sketch, Step
from smokestep.evidence.keys import Use

if TYPE_CHECKING:
    from smokestep.backends.jax.recorder import Recorder


def tell_unit(rec: Recorder, probe: Probe, arguments: Sequence[Any], ran: Ran, path: frames.Path) -> None:
    """Tell what a compiled call did."""
    found = probe.sketch
    ids = {number: rec.value_of(array) for number, array in zip(found.inputs, arguments, strict=True)}
    ids |= {number: rec.value_of(array) for number, array in found.constants.items()}
    runs: dict[int, Differentiation] = {}
    drawn = tell_keys(rec, found, ran.own, path)
    places = {id(step): number for number, step in enumerate(found.steps)}
    for group in probe.groups:
        if isinstance(group, Group):
            tell_group(rec, group, ids, ran.own, found, path, None)
            continue
        number = places[id(group)]
        if group.name == "forward":
            operands = [None if isinstance(each, Plain) else ids[each] for each in group.reads]
            run = tell_body(rec, probe.bodies[number], operands, ran.bodies[number], (*group.path, *path))
            runs[group.params["key"]] = run
        elif group.name == "results":
            join(rec, group, ids, runs.get(group.params["key"]))
        else:
            table, cts = ran.backwards.get(number, ({}, []))
            tell_gradients(rec, group, ids, runs.get(group.params["key"]), table, ran.own, found, (*group.path, *path))
    tell_notes(rec, found, ids, ran.own, path, None)
    tell_drawn(rec, drawn, ids)
    for read, out in zip(found.outputs, ran.outputs, strict=True):
        if not isinstance(read, Plain) and read in ids and trees.is_array(out):
            rec.known[key_of(out)] = ids[read]
            rec.kept.append(out)


def tell_group(
    rec: Recorder,
    group: Group,
    ids: dict[int, int],
    measured: Measured,
    found: Sketch,
    outer: frames.Path,
    body: Body | None,
    base: int | None = None,
) -> None:
    """Tell one operation, of a compiled call or (`body`) of a differentiated function in it."""
    turn = rec.turn
    assert turn is not None
    reads = tuple(ids[each] for each in group.reads if ids.get(each, -1) >= 0)
    taint = 0
    for each in reads:
        taint |= turn.taint.get(each, 0)
    serial = next(rec.serial)
    path = (*group.path, *outer)
    optimizing = body is None and group.optimizing
    made = []
    for number in group.makes:
        aval = found.avals[number]
        cell = rec.cell("made", getattr(aval, "shape", ()), str(getattr(aval, "dtype", "")), op=serial)
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
    for step in group.steps:
        args |= {key: step.params[key] for key in WEIGHTS if key in step.params}
    if any(step.primitive.startswith("reduce_") for step in group.steps):
        args["batch statistics"] = True
    if group.name == "batch_norm" and (past := _past(group)) is not None:
        args["weight of the past"] = past
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
            group.unsure,
        )
    )


def _past(group: Group) -> float | None:
    """The number by which a normalization multiplies what it is given from before: its running statistics."""
    found = {
        round(float(number), 6)
        for step in group.steps
        if step.primitive == "mul" and len(step.operands) == 1 and step.operands[0] in group.reads
        for each in step.reads
        if isinstance(each, Plain) and getattr(each.value, "shape", ()) == () and 0 <= (number := each.value) <= 1
    }
    return found.pop() if len(found) == 1 else None


def tell_body(
    rec: Recorder, body: Body, operands: Sequence[int | None], measured: Measured, path: frames.Path
) -> Differentiation:
    """Tell a differentiated function: its primals and constants are values of their own."""
    turn = rec.turn
    assert turn is not None
    params, found = body.step.params, body.sketch
    index = next(rec.serial)
    ids: dict[int, int] = {}
    primals = []
    for place, (number, operand) in enumerate(zip(found.inputs, operands, strict=True)):
        aval = found.avals[number]
        outer = turn.cells[operand] if operand is not None else None
        differentiated = place < params["counted"] and floating(aval)
        if outer is not None and not differentiated and outer.source is None:
            ids[number] = outer.id
            continue
        cell = rec.cell("input", getattr(aval, "shape", ()), str(getattr(aval, "dtype", "")))
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
        ids[number] = rec.value_of(array)
    line = frames.lines(path)[0]
    drawn = tell_keys(rec, found, measured, path)
    for group in body.groups:
        if isinstance(group, Group):
            tell_group(rec, group, ids, measured, found, path, body, index)
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
    tell_notes(rec, found, ids, measured, path, index)
    tell_drawn(rec, drawn, ids)
    outputs = {place: ids.get(each, -1) for place, each in enumerate(found.outputs) if not isinstance(each, Plain)}
    run = Differentiation(index, params["key"], line, path, ids, tuple(primals), params["names"], roots, body)
    run.operands = outputs
    turn.forwards.append(run)
    rec.runs[params["key"]] = run
    return run


def tell_notes(
    rec: Recorder, found: Sketch, ids: dict[int, int], measured: Measured, outer: frames.Path, body: int | None
) -> None:
    """Tell the notes of a program, and the whole values that they are about."""
    assert rec.turn is not None
    for each in found.notes:
        values = tuple(-1 if isinstance(read, Plain) else ids.get(read, -1) for read in each.reads)
        for read, value in zip(each.reads, values, strict=True):
            if value >= 0 and not isinstance(read, Plain) and read in measured.whole:
                rec.turn.cells[value].whole = measured.whole[read]
        rec.turn.visits.append(Visit(each.note, values, (*each.path, *outer), body))


def tell_note(rec: Recorder, note: Note, arrays: Sequence[Any], path: frames.Path) -> None:
    """Tell a note that is taken outside of any program."""
    assert rec.turn is not None
    values = tuple(rec.value_of(each) for each in arrays)
    for value, array in zip(values, arrays, strict=True):
        if note.side != "dropout" and 0 < array.size <= NOTED:
            rec.turn.cells[value].whole = np.asarray(array)
    rec.turn.visits.append(Visit(note, values, path))


def tell_keys(rec: Recorder, found: Sketch, measured: Measured, outer: frames.Path) -> dict[int, int]:
    """Tell the uses of random keys; gives for each (its place among all) what was made of the key."""
    made: dict[int, int] = {}
    for drawn, each in measured.drawn:
        step = found.steps[drawn.step]
        first = len(rec.uses)
        tell_use(rec, drawn.kind, drawn.name, drawn.shape, each, (*step.path, *outer), module_of(step.module))
        if step.makes:
            made.update(dict.fromkeys(range(first, len(rec.uses)), step.makes[0]))
    return made


def tell_drawn(rec: Recorder, made: dict[int, int], ids: dict[int, int]) -> None:
    """Tell which value each use made, now that the values have their numbers."""
    for place, number in made.items():
        rec.uses[place] = replace(rec.uses[place], made=ids.get(number, -1))


def tell_use(
    rec: Recorder, kind: Any, name: str, shape: tuple[int, ...], bits: list[int], path: frames.Path, module: str = ""
) -> None:
    """Tell one use of random keys, each key by its bits."""
    line, own = frames.lines(path)
    assert rec.turn is not None
    for key in bits:
        caller = own[0] if own else line
        rec.uses.append(
            Use(next(rec.serial), rec.turn.step, key, kind, name, shape, line, caller, module, rec.turn.name, own=own)
        )


def join(rec: Recorder, step: Step, ids: dict[int, int], run: Differentiation | None) -> None:
    """What comes out of a differentiated function is what its body made."""
    for place, (read, made) in enumerate(zip(step.reads, step.makes, strict=True)):
        found = run.operands.get(place, -1) if run is not None else -1
        if found >= 0:
            ids[made] = found
        else:
            aval = getattr(read, "aval", None)
            ids[made] = rec.cell("unknown", getattr(aval, "shape", ()), "").id


def tell_gradients(
    rec: Recorder,
    step: Step,
    ids: dict[int, int],
    run: Differentiation | None,
    table: Any,
    measured: Measured,
    found: Sketch,
    path: frames.Path,
) -> None:
    """Tell the gradients that came out of a backward pass in a compiled call."""
    counted = step.params["counted"]
    run = run or rec.runs.get(step.params["key"])
    peaks = [measured.peaks.get(made) for made in step.makes]
    cells = []
    for made in step.makes:
        aval = found.avals[made]
        cell = rec.cell("made", getattr(aval, "shape", ()), str(getattr(aval, "dtype", "")))
        ids[made] = cell.id
        cells.append(cell.id)
    del counted
    if run is not None:
        spreads = [measured.spreads.get(made, ()) for made in step.makes]
        tell_backward(rec, run, step.params["places"], cells, peaks, table, path, spreads)


def tell_backward(
    rec: Recorder,
    run: Differentiation,
    places: Sequence[int],
    cells: Sequence[int],
    peaks: Sequence[Any],
    table: Any,
    path: frames.Path,
    spreads: Sequence[tuple[float | None, ...]],
) -> None:
    """A backward pass: its event, the gradients of the values it went through, and those that came out."""
    turn = rec.turn
    assert turn is not None
    for number, (top, middle) in (table or {}).items():
        cell = turn.cells.get(run.ids.get(number, -1))
        if cell is not None and (cell.gradient is None or top >= cell.gradient or top != top):
            cell.gradient, cell.mean = top, middle
    roots = tuple(root for root in run.roots if root >= 0)
    # gradient modes of JAX reach whatever is differentiated; what does not depend on it is given zeros
    backed = Backed(next(rec.serial), run, roots, frames.lines(path)[0] or run.line)
    if len(roots) == 1 and turn.cells[roots[0]].whole is not None and turn.cells[roots[0]].whole.size == 1:
        backed.loss = float(np.real(turn.cells[roots[0]].whole.reshape(())))
    for place, cell, peak, spread in zip(places, cells, peaks, spreads, strict=True):
        if place < len(run.primals):
            gradient = Gradient(len(turn.backwards), run.primals[place], cell, peak, spread)
            turn.taint[cell] = 1 << len(turn.gradients)
            turn.gradients.append(gradient)
            backed.gradients.append(gradient)
    turn.backwards.append(backed)


def module_of(stack: str) -> str:
    """The module path in a name stack: "Net/Dense_0" of one model is "Dense_0"."""
    parts = [each for each in stack.split("/") if each and "(" not in each and each != "smokestep-apart"]
    return ".".join(parts[1:])
