"""Dropouts: in which mode each ran, from the notes of the libraries' own layers: one that is off leaves no operation.

Of models that are functions no mode is known, so a model is told as trained in evaluation mode by all of its dropouts
together: it is in training mode in a step where one of them drops on the way to the loss.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from smokestep.backends.jax import frames, modes, trees
from smokestep.backends.jax.cells import Turn
from smokestep.backends.jax.notes import Visit
from smokestep.evidence.flow import Graph
from smokestep.evidence.modes import FunctionalDropout, Layer, Modes, Run
from smokestep.findings import Line

Path = tuple[str, ...]
WRAPPER = frames.__file__.replace("frames.py", "wrapping.py")
FLAGS = ("deterministic", "inference")
MODES = ("deterministic", "inference", "train", "eval")  # what a condition on the mode names


def modes_of(
    turns: Sequence[Turn],
    graphs: Sequence[Graph],
    names: Any,
    leaves: Mapping[Path, trees.Leaf],
    chosen: Mapping[Path, str],
    held: Mapping[int, str],
) -> Modes:
    """What is known of the modes of all steps: of normalizations, of dropouts, and of the models that hold these.

    `held`: the model of a dropout, by the identity of its note, where that is one which nothing trains.
    """
    norms = modes.evidence(turns, graphs, names, leaves)
    rates: dict[tuple[str, str], float] = {}
    roots: dict[str, None] = {}
    runs: list[Run] = []
    functional: list[FunctionalDropout] = []
    for turn, graph in zip(turns, graphs, strict=True):
        needed = graph.backward_of(graph.roots)
        frozen = _frozen(turn, leaves, chosen)
        for visit in turn.visits:
            note = visit.note
            value = visit.values[0] if visit.values else -1
            if note.side != "dropout" or value < 0 or value not in turn.cells:
                continue
            line = frames.lines(visit.path)[0]
            model = held.get(id(visit), "")
            path = f"{model or note.label}.{note.path or f'dropout at line {line.line if line else 0}'}"
            rates[path, model] = max(note.rate, rates.get((path, model), 0.0))
            learns = visit.body is not None and (note.active or turn.cells[value].requires_grad)
            learns = learns and (note.active or visit.body not in frozen)
            reaches = value in needed
            runs.append(Run(turn.step, path, note.active, learns, 1, reaches, None, line))
            functional.append(_called(turn, visit, path, line))
            if model:
                continue
            roots.setdefault(note.label)
            runs.append(Run(turn.step, note.label, note.active, learns, 1, reaches, None, outermost(visit) or line))
    layers = [
        *(Layer(path, "dropout", "Dropout", probability=rate, model=model) for (path, model), rate in rates.items()),
        *(Layer(label, "root", label or "the model") for label in roots),
    ]
    switches = tuple(each for turn in turns for each in turn.switches)
    return Modes((*norms.layers, *layers), (*norms.runs, *runs), tuple(functional), switches)


def outermost(visit: Visit) -> Line | None:
    """The user's line that called the outermost model that a note was taken in."""
    places = [at for at, frame in enumerate(visit.path) if frame.file == WRAPPER and frame.function == "around"]
    return frames.lines(visit.path[places[-1] :])[0] if places else None


def _frozen(turn: Turn, leaves: Mapping[Path, trees.Leaf], chosen: Mapping[Path, str]) -> set[int | None]:
    """The differentiated functions that work with parameters which are left as they are, as fine-tuning does."""
    found: set[int | None] = set()
    for op in turn.ops:
        if op.body is None or op.body in found:
            continue
        for read in op.reads:
            source = _source(turn, read)
            leaf = leaves.get(source) if source is not None and source not in chosen else None
            if leaf is not None and leaf.role == "leaf" and "float" in str(leaf.value.dtype) and leaf.value.size > 1:
                found.add(op.body)
    return found


def _source(turn: Turn, value: int) -> Path | None:
    """The leaf of the state that a value is."""
    cell = turn.cells[value]
    while cell.source is None and cell.origin is not None:
        cell = turn.cells[cell.origin]
    return cell.source


def _called(turn: Turn, visit: Visit, path: str, line: Line | None) -> FunctionalDropout:
    """A call of a dropout, as of a function: whether its flag is written out, whatever the mode."""
    note = visit.note
    fixed = note.explicit is False and line is not None and switched_on(line.file, line.line)
    fixed = fixed and not any(_other(frame) for frame in frames.calls(visit.path)[0])
    return FunctionalDropout(
        step=turn.step,
        line=line,
        module=path,
        passed=not fixed,
        active=note.active,
        module_training=note.training or not fixed,
        guarded=line is None or asks_mode(line.file, line.line),
        probability=note.rate,
    )


def _other(frame: frames.Frame) -> bool:
    """Whether a frame is the call of another layer of a library's, which handed its own flag on."""
    name = frame.function
    return bool(frames.library(frame.file)) and name.endswith(".__call__") and "Dropout" not in name


@cache
def _tree(file: str) -> ast.Module | None:
    try:
        with open(file, encoding="utf-8") as source:
            return ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return None


@cache
def switched_on(file: str, number: int) -> bool:
    """Whether a call on a line has a flag of dropout written out as False."""
    return any(
        isinstance(node, ast.Call)
        and node.lineno <= number <= (node.end_lineno or 0)
        and any(
            each.arg in FLAGS and isinstance(each.value, ast.Constant) and each.value.value is False
            for each in node.keywords
        )
        for node in ast.walk(_tree(file) or ast.Module([], []))
    )


@cache
def asks_mode(file: str, number: int) -> bool:
    """Whether the function around a line has a condition on the mode; True where the source cannot be read."""
    tree = _tree(file)
    if tree is None:
        return True
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) and node.lineno <= number <= (node.end_lineno or 0)
    ]
    return any(
        isinstance(node, (ast.If, ast.IfExp)) and any(word in ast.dump(node.test) for word in MODES)
        for function in around
        for node in ast.walk(function)
    )
