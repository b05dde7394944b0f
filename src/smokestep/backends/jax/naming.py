"""Naming: which leaves of the state are parameters, what they are called, and which optimizer holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from smokestep.backends.jax import frames, trees
from smokestep.backends.jax.cells import Turn
from smokestep.backends.jax.updates import Update

Path = tuple[str, ...]
KINDS = {
    "ScaleByAdamState": "Adam",
    "ScaleByAmsgradState": "AMSGrad",
    "ScaleByLionState": "Lion",
    "ScaleByRmsState": "RMSprop",
    "ScaleByRStdDevState": "RMSprop",
    "ScaleByRssState": "Adagrad",
    "ScaleByBeliefState": "AdaBelief",
    "ScaleByAdaDeltaState": "Adadelta",
    "FactoredState": "Adafactor",
    "ScaleByNovogradState": "NovoGrad",
    "TraceState": "SGD",
    "ScaleByTraceState": "SGD",
    "ScaleByLbfgsState": "LBFGS",
    "MuonState": "Muon",
}
OWN = frozenset({*KINDS.values(), "AdamW", "Adamax", "Nadam", "Ftrl", "LossScaleOptimizer"})  # Keras's, by their class
CASTS = frozenset("to identity clone reshape".split())
PLAIN = frozenset({"params", "value", "raw_value"})  # parts of a path that say nothing to the user


@dataclass(slots=True)
class Held:
    """One optimizer: the path of its state (None if that is not in sight), its kind, and the parameters it holds."""

    name: str
    kind: str
    top: Path | None
    holds: list[Path] = field(default_factory=list)
    updates: dict[int, list[Update]] = field(default_factory=dict)
    accumulates: bool = False


@dataclass(slots=True)
class Names:
    """What the leaves of the state are called. `parameters`: by path, in order."""

    parameters: dict[Path, str]
    statistics: dict[Path, str]


def differentiated(turns: Iterable[Turn]) -> dict[Path, str]:
    """The leaves of the state that were differentiated, with their names in what was differentiated."""
    found: dict[Path, str] = {}
    for turn in turns:
        for run in turn.forwards:
            for cell, name in zip(run.primals, run.names, strict=False):
                source = source_of(turn, cell)
                if source is not None:
                    found.setdefault(source, name)
    return found


def with_statistics(
    leaves: Mapping[Path, trees.Leaf], turns: Iterable[Turn], chosen: Mapping[Path, str]
) -> dict[Path, trees.Leaf]:
    """The leaves, those told as running statistics that a batch normalization reads and nothing differentiates."""
    read: set[Path] = set()
    for turn in turns:
        for op in turn.ops:
            if op.name == "batch_norm" and op.kind == "layer":
                read.update(source for each in op.reads if (source := source_of(turn, each)) is not None)
    return {
        path: replace(leaf, role="statistic") if path in read and path not in chosen and leaf.role == "leaf" else leaf
        for path, leaf in leaves.items()
    }


def source_of(turn: Turn, value: int) -> Path | None:
    """The leaf that a value is, is a mere copy or cast of, or is what an earlier update in the same step made of it."""
    for _ in range(24):
        cell = turn.cells[value]
        if cell.source is not None:
            return cell.source
        if cell.origin is not None:
            value = cell.origin
            continue
        before = _version(turn, value) if value in turn.made_of else _copied(turn, value)
        if before is None:
            return None
        value = before
    return None


def _copied(turn: Turn, value: int) -> int | None:
    """What a value was cast or copied from."""
    cell = turn.cells[value]
    op = next((op for op in turn.ops if value in op.makes), None) if cell.op is not None else None
    if op is None or (len(op.reads) != 1 and op.name != "lax.cond"):
        return None
    shape = turn.cells[op.reads[0]].shape
    replica = op.name == "squeeze" and shape == (1, *cell.shape)  # of `pmap` over one device
    return op.reads[0] if replica or shape == cell.shape else None


def _version(turn: Turn, value: int) -> int | None:
    """What an update was added to, to make a value."""
    each = turn.arithmetic[turn.made_of[value]]
    if each.name == "lax.cond" and turn.cells[each.reads[0]].shape == turn.cells[value].shape:
        return each.reads[0]
    if len(each.reads) == 1 and turn.cells[each.reads[0]].shape == turn.cells[value].shape and each.name in CASTS:
        return each.reads[0]
    if each.name not in ("add", "sub") or len(each.reads) != 2:
        return None
    for read in each.reads:
        cell = turn.cells[read]
        earlier = read in turn.made_of and turn.arithmetic[turn.made_of[read]].name in ("add", "sub", *CASTS)
        if cell.shape == turn.cells[value].shape and (cell.source is not None or earlier):
            if cell.source is not None or source_of(turn, read) is not None:
                return read
    return None


def named(leaves: Mapping[Path, trees.Leaf], chosen: Mapping[Path, str], held: Iterable[Path]) -> Names:
    """Names for all parameters: those differentiated, those that an optimizer holds, and their like beside them."""
    roots: dict[Path, None] = {}
    first = {path[0] for path in chosen if path}
    place = first.pop() if len(first) == 1 else ""  # where in the state all lies that is differentiated
    for path, name in chosen.items():
        parts = tuple(each for each in name.split(".") if each)
        while parts and parts[-1] in PLAIN and path[-1] != parts[-1]:  # the variable of an NNX module, opened
            parts = parts[:-1]
        while parts and path[-len(parts) :] != parts:
            parts = parts[1:]
        if parts == path and len(path) > 1 and path[0] == place and _index(place):
            parts = parts[1:]
        roots.setdefault(path[: len(path) - len(parts)] if parts else path[:-1])
    wanted = dict.fromkeys([*chosen, *held])
    for path, leaf in leaves.items():
        if leaf.role == "leaf" and leaf.given and "float" in str(leaf.value.dtype) and leaf.value.shape:
            wanted.setdefault(path)
            if not any(path[: len(root)] == root for root in roots):
                roots.setdefault(_root(path, leaves))
    ordered = [path for path in leaves if path in wanted]
    tops = _tops(ordered, list(roots))
    parameters = {path: _short(path, tops) for path in ordered}
    parameters = _distinct({path: leaves[path].called or name for path, name in parameters.items()})
    aside = [path for path, leaf in leaves.items() if leaf.role == "statistic"]
    beside = {path: any(path[: len(top)] == top for top in tops if top) for path in aside}
    statistics = {path: _short(path, tops) if beside[path] else _apart(path) for path in aside}
    return Names(parameters, {path: leaves[path].called or name for path, name in statistics.items()})


def _apart(path: Path) -> str:
    """The name of a running statistic that lies in a tree of its own."""
    parts = (part for part in path if part not in PLAIN and part not in trees.STATISTICS and not _index(part))
    return ".".join(parts) or ".".join(path)


def _root(path: Path, leaves: Mapping[Path, trees.Leaf]) -> Path:
    """Where the tree of a leaf that is not differentiated begins: below what it shares with other kinds of leaves."""
    for depth in range(len(path)):
        if all(leaf.role == "leaf" for other, leaf in leaves.items() if other[:depth] == path[:depth]):
            return path[:depth] if depth else path[:1] if len(path) > 1 else ()
    return path[:-1]


def _tops(paths: list[Path], roots: list[Path]) -> list[Path]:
    """The roots of the trees of parameters, none within another."""
    return [root for root in roots if not any(root != other and root[: len(other)] == other for other in roots)]


def _short(path: Path, tops: list[Path]) -> str:
    top = next((each for each in tops if path[: len(each)] == each), ())
    below = [part for part in path[len(top) :] if part not in PLAIN] or list(path[-1:])
    if len(tops) > 1 and top:
        own = next((part for part in reversed(top) if part not in PLAIN and not _index(part)), None)
        below = [own, *below] if own else below
    return ".".join(below)


def _index(part: str) -> bool:
    return part.isdigit()


def _distinct(names: dict[Path, str]) -> dict[Path, str]:
    """Two leaves of one name are told by their whole paths."""
    count: dict[str, int] = {}
    for name in names.values():
        count[name] = count.get(name, 0) + 1
    return {path: name if count[name] == 1 else ".".join(path) for path, name in names.items()}


def optimizers(
    tops: Mapping[Path, tuple[str, ...]],
    leaves: Mapping[Path, trees.Leaf],
    turns: list[Turn],
    found: list[list[Update]],
    chosen: Mapping[Path, str],
) -> list[Held]:
    """The optimizers: those whose state is in sight, and those that were only seen at work."""
    held = [Held(_called(top), _kind(classes), top) for top, classes in tops.items()]
    for each in held:
        each.accumulates = any("MultiSteps" in name for name in tops[each.top or ()])
    loose: dict[Any, Held] = {}
    for turn, updates in zip(turns, found, strict=True):
        for update in updates:
            if update.by_hand:
                continue
            mine = next((each for each in held if each.top == update.top and update.top is not None), None)
            if mine is None:
                mine = _nearest(held, update, turn, leaves)
            if mine is None:
                mine = loose.get(update.line)
            if mine is None:
                mine = loose[update.line] = Held("optimizer", kind_at_work(update, turn), None)
            mine.updates.setdefault(turn.step, []).append(update)
            for position, gradient in enumerate(turn.gradients):
                if update.given >> position & 1 and (source := source_of(turn, gradient.primal)) is not None:
                    if source not in mine.holds:
                        mine.holds.append(source)
    every = [*held, *loose.values()]
    for each in held:
        _by_structure(each, leaves, chosen, [other for other in every if other is not each])
    taken: set[str] = set()
    for each in every:
        while each.name in taken:
            stem, _, number = each.name.rpartition("_")
            each.name = f"{stem}_{int(number) + 1}" if number.isdigit() and stem else f"{each.name}_2"
        taken.add(each.name)
    return every


WORK = {
    "scale_by_adam": "Adam",
    "scale_by_adamax": "Adamax",
    "scale_by_amsgrad": "AMSGrad",
    "scale_by_belief": "AdaBelief",
    "scale_by_factored_rms": "Adafactor",
    "scale_by_lion": "Lion",
    "scale_by_rms": "RMSprop",
    "scale_by_stddev": "RMSprop",
    "scale_by_rss": "Adagrad",
    "scale_by_adadelta": "Adadelta",
    "scale_by_muon": "Muon",
}


def kind_at_work(update: Update, turn: Turn) -> str:
    """The kind of an optimizer whose state is not in sight, by the functions that were at work."""
    for position in update.members:
        for frame in frames.calls(turn.arithmetic[position].path)[0]:
            kind = frame.function.split(".")[0]
            if (found := WORK.get(kind)) is not None:
                return found
            if kind in OWN and frames.library(frame.file).startswith("keras/src/optimizers/"):
                return kind
    return "SGD"


def _nearest(held: list[Held], update: Update, turn: Turn, leaves: Mapping[Path, trees.Leaf]) -> Held | None:
    """An optimizer without a state of its own that this may be."""
    idle = [
        each
        for each in held
        if each.top is not None
        and not any(leaf.top == each.top and getattr(leaf.value, "size", 0) > 1 for leaf in leaves.values())
    ]
    given = {
        source_of(turn, gradient.primal)
        for position, gradient in enumerate(turn.gradients)
        if update.given >> position & 1
    }
    for each in idle:
        if each.holds and given & set(each.holds):
            return each
    return next((each for each in idle if not each.holds), None)


def _by_structure(
    each: Held, leaves: Mapping[Path, trees.Leaf], chosen: Mapping[Path, str], others: list[Held]
) -> None:
    """What an optimizer keeps averages of it holds, also where no gradient arrived."""
    inner = [
        leaf.path[len(each.top or ()) :] for leaf in leaves.values() if leaf.top == each.top and each.top is not None
    ]
    shapes = {path: getattr(leaf.value, "shape", None) for path, leaf in leaves.items()}
    if not inner:
        return
    roots = {path[:-depth] for path in each.holds for depth in range(1, len(path) + 1)}
    for path, leaf in leaves.items():
        if leaf.role != "leaf" or path in each.holds or any(path in other.holds for other in others):
            continue
        if "float" not in str(getattr(leaf.value, "dtype", "")):
            continue
        for depth in range(len(path), 0, -1):
            tail = path[-depth:]
            like = [
                below
                for below in inner
                if below[-depth:] == tail and shapes.get((*(each.top or ()), *below)) == leaf.value.shape
            ]
            if like and (depth > 1 or len(path) <= 2) and (not each.holds or path[:-depth] in roots):
                each.holds.append(path)
                roots.add(path[:-depth])
                break


def _called(top: Path) -> str:
    for part in reversed(top):
        if not _index(part) and part not in ("opt_state", "state"):
            return part
    return "optimizer"


def _kind(classes: tuple[str, ...]) -> str:
    for name in classes:
        if name in KINDS:
            return KINDS[name]
        if name in OWN:
            return name
    return "SGD"
