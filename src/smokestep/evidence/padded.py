"""Padded: which positions of the sequences handed to a model are padding, and what tells the model so.

Inferred from a mask, from lengths or from a padding token, and only where the rows have different lengths and what
stands at the padded positions agrees; where that is in doubt, nothing is inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.trials import Edit, Take, Tensor, Trial, Trials

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

ENTRIES = 1 << 15  # entries of a mask or of tokens that are read: 64 rows of 512
LOOKED = 16  # positions of a row whose entries are compared
REAL_IS_ONE = ("attention_mask",)
PADDED_IS_ONE = ("key_padding_mask", "padding_mask", "pad_mask")
LENGTHS = re.compile(r"((^|_)(lengths?|lens?|seq_?lens?|seq_?lengths?)|\[\d+)$")  # or a field without a name
NO_CONTENT = re.compile(r"label|target|position|segment|token_type|mask")


@dataclass(frozen=True, slots=True)
class Layout:
    """An argument whose dimension `rows` counts the samples and `steps` the positions."""

    name: str
    rows: int
    steps: int


@dataclass(frozen=True, slots=True)
class Padded:
    """Sequences of one trial that are padded to a common `width`.

    `lengths`: how many positions of each of the first rows are real: the first ones, or with `left` the last.
    `contents`: the arguments that hold the sequences. `told`: the arguments that tell the model about the padding, or
    the comparison in the model that does. `token`: what stands at the padded positions, if it is one token. `count`:
    samples. `agreed`: the contents hold one value at all padded positions. `by`: from what it was inferred.
    """

    trial: int
    model: str
    count: int
    width: int
    lengths: tuple[int, ...]
    contents: tuple[Layout, ...]
    told: tuple[str, ...] = ()
    left: bool = False
    token: float | None = None
    agreed: bool = False
    by: str = ""

    def real(self, row: int) -> tuple[int, ...]:
        """The positions of a row that hold data."""
        length = self.lengths[row]
        return tuple(range(self.width - length, self.width) if self.left else range(length))

    def padding(self, row: int) -> tuple[int, ...]:
        """The positions of a row that hold padding."""
        length = self.lengths[row]
        return tuple(range(self.width - length) if self.left else range(length, self.width))

    @property
    def inside(self) -> bool:
        """The model finds the padding by itself, among its tokens: other tokens there would be none."""
        return any(" == " in each for each in self.told)

    @property
    def names(self) -> frozenset[str]:
        """The arguments that hold the sequences or tell of their padding."""
        return frozenset((*self.told, *(each.name for each in self.contents)))

    @property
    def shorter(self) -> tuple[int, ...]:
        """The rows that are padded and hold data."""
        return tuple(row for row, length in enumerate(self.lengths) if 0 < length < self.width)


@dataclass(frozen=True, slots=True)
class Paddings:
    """Every padded sequence of the first call of every model; `reasons` why a model has none, by model."""

    found: tuple[Padded, ...]
    reasons: tuple[tuple[str, str], ...]
    inferred: tuple[str, ...] = ()

    @classmethod
    def gather(cls, world: World, of: Of) -> Paddings:
        """Read from the arguments of the trials and from the graph in which they ran."""
        lab, flow, dim = world.lab(), of(Flow), of(Declared).batch_dim
        found: list[Padded] = []
        reasons: list[tuple[str, str]] = []
        for trial in of(Trials).of_models():
            each = tuple(_merged(_padded(lab, trial, flow.graphs[trial.step], dim)))
            found += each
            if not each:
                reasons.append((trial.model or "model", "nothing shows which positions of its input are padding"))
        return cls(tuple(found), tuple(reasons), tuple(map(_sentence, found)))


def _sentence(padded: Padded) -> str:
    rows = len(padded.shorter)
    side = "front" if padded.left else "end"
    return f"{padded.model}: {rows} of {len(padded.lengths)} sequences are padded at their {side}, by {padded.by}"


def axes(shape: Sequence[int], count: int, width: int) -> tuple[int | None, tuple[int, ...]]:
    """The dimension of a shape that counts the samples, if any, and those that count the positions."""
    rows = 0 if shape and shape[0] == count else 1 if len(shape) > 1 and shape[1] == count else None
    return rows, tuple(dim for dim, size in enumerate(shape) if size == width and dim != rows)


def _padded(lab: Lab, trial: Trial, graph: Graph, dim: int | None) -> Iterator[Padded]:
    for each in trial.arguments:
        if each.dtype == "bool" or (each.low, each.high) == (0, 1):
            yield from _by_mask(lab, trial, each, _ways(graph, each, dim))
        elif each.whole and len(each.shape) == 1 and LENGTHS.search(_bare(each.name)):
            yield from _by_lengths(lab, trial, each)
    for each in trial.arguments:
        if each.whole and len(each.shape) == 2 and each.high is not None and each.high > 1:
            yield from _by_token(lab, trial, each, graph, _ways(graph, each, dim))


def _ways(graph: Graph, each: Tensor, dim: int | None) -> list[tuple[int, int]]:
    """What the two sizes of a tensor may be: (samples, positions). Lengths and labels have an entry for each sample."""
    sizes = tuple(size for size in each.shape if size != 1)
    if len(sizes) != 2 or sizes[0] == sizes[1] or dim == -1:
        return []
    single = {len(v.shape) and v.shape[0] for v in graph.values.values() if v.kind == "input" and len(v.shape) == 1}
    straight, turned = (sizes[0], sizes[1]), (sizes[1], sizes[0])
    if dim is not None or (sizes[0] in single) != (sizes[1] in single):
        return [straight if (dim == 0 if dim is not None else sizes[0] in single) else turned]
    return [straight, turned]


def _by_mask(lab: Lab, trial: Trial, mask: Tensor, ways: Sequence[tuple[int, int]]) -> Iterator[Padded]:
    candidates = []
    for count, width in ways:
        rows = _rows(lab, trial, mask, count, width)
        for one_is_real in (True, False):
            marks = [[(each == 1) == one_is_real for each in row] for row in rows]
            for left in (False, True):
                lengths = tuple(map(sum, marks))
                straight = all(row == sorted(row, reverse=not left) for row in marks)
                if not straight or not _uneven(lengths, width):
                    continue
                guess = Padded(trial.index, trial.model or "model", count, width, lengths, (), (mask.name,), left)
                agreed = _agreeing(lab, trial, guess)
                named = _bare(mask.name).endswith(REAL_IS_ONE if one_is_real else PADDED_IS_ONE)
                only = _only(trial, count, width) if named and not left else ()
                if agreed or only:
                    by = f"`{mask.name}` ({'1 is real' if one_is_real else '1 is padding'})"
                    candidates.append(replace(agreed or replace(guess, contents=only), by=by))
    sure = [each for each in candidates if each.agreed] or candidates
    if len(sure) == 1:
        yield from sure


def _by_lengths(lab: Lab, trial: Trial, vector: Tensor) -> Iterator[Padded]:
    (count,) = vector.shape
    lengths = tuple(map(int, lab.entries(vector.name, trial=trial.index)))
    for width in {size for each in trial.arguments for size in each.shape[:2]} - {count}:
        if not lengths or not _uneven(lengths, width):
            continue
        guess = Padded(
            trial.index, trial.model or "model", count, width, lengths[: ENTRIES // width], (), (vector.name,)
        )
        agreed = _agreeing(lab, trial, guess)
        only = _only(trial, count, width) if max(lengths) == width and _bare(vector.name).isidentifier() else ()
        if agreed or only:
            yield replace(agreed or replace(guess, contents=only), by=f"`{vector.name}`")


def _by_token(
    lab: Lab, trial: Trial, tokens: Tensor, graph: Graph, ways: Sequence[tuple[int, int]]
) -> Iterator[Padded]:
    compared = _compared(graph, trial, tokens.value)
    known = {value for _, value in lab.attributes(trial.index, "padding_idx")} | set(compared)
    if NO_CONTENT.search(_bare(tokens.name)) or not known:
        return
    found = []
    for (count, width), token, left in product(ways, sorted(known), (False, True)):
        rows = _rows(lab, trial, tokens, count, width)
        lengths = tuple(width - _run(row if left else row[::-1], token) for row in rows)
        inner = [row[width - n :] if left else row[:n] for row, n in zip(rows, lengths, strict=True)]
        if _uneven(lengths, width) and min(lengths) < width - 1 and not any(token in row for row in inner):
            told = (f"{tokens.name} == {token:g}",) if compared.get(token) else ()
            layout = _layout(tokens, count, width)
            by = f"the token {token:g} in `{tokens.name}`"
            if layout:
                found.append(
                    Padded(
                        trial.index,
                        trial.model or "model",
                        count,
                        width,
                        lengths,
                        (layout,),
                        told,
                        left,
                        token,
                        True,
                        by,
                    )
                )
    if len(found) == 1:
        yield from found


def _merged(found: Iterator[Padded]) -> Iterator[Padded]:
    """Several things that tell of the same padding are one; a token that contradicts a mask tells nothing."""
    kept: list[Padded] = []
    for each in found:
        names = {layout.name for layout in each.contents}
        at = next((i for i, old in enumerate(kept) if names & {layout.name for layout in old.contents}), None)
        if at is None:
            kept.append(each)
        elif kept[at].lengths == each.lengths and kept[at].left == each.left:
            old = kept[at]
            wider = old.contents if len(old.contents) >= len(each.contents) else each.contents
            token = each.token if old.token is None else old.token
            told = tuple(dict.fromkeys(old.told + each.told))
            kept[at] = replace(old, contents=wider, told=told, token=token, agreed=old.agreed or each.agreed)
    return iter(kept)


def _agreeing(lab: Lab, trial: Trial, guess: Padded) -> Padded | None:
    """The guess with the arguments that hold one value at all its padded positions, and others elsewhere."""
    held, tokens = [], set()
    for each in trial.arguments:
        layout = _layout(each, guess.count, guess.width)
        if layout is None or each.name in guess.told or NO_CONTENT.search(_bare(each.name)):
            continue
        padding: set[float] = set()
        real: set[float] = set()
        for row in guess.shorter[:3]:
            for positions, entries in ((guess.padding(row), padding), (guess.real(row), real)):
                edits = [Take((each.name,), layout.rows, (row,)), Take((each.name,), layout.steps, positions[:LOOKED])]
                entries.update(lab.entries(each.name, edits, trial=trial.index))
        if len(padding) == 1 and len(real) > 1:
            held.append(layout)
            tokens |= padding if each.whole else set()
    token = tokens.pop() if len(tokens) == 1 else None
    return replace(guess, contents=tuple(held), agreed=True, token=token) if held else None


def _only(trial: Trial, count: int, width: int) -> tuple[Layout, ...]:
    """The one argument that can hold the sequences, if it is the only one."""
    found = [
        layout
        for each in trial.arguments
        if not NO_CONTENT.search(_bare(each.name)) and (layout := _layout(each, count, width)) is not None
    ]
    return tuple(found) if len(found) == 1 else ()


def _layout(each: Tensor, count: int, width: int) -> Layout | None:
    rows, steps = axes(each.shape, count, width)
    held = (each.floating and len(each.shape) > 1) or (each.whole and len(each.shape) == 2)
    return Layout(each.name, rows, steps[0]) if held and rows is not None and steps[:1] == (1 - rows,) else None


def _uneven(lengths: Sequence[int], width: int) -> bool:
    """Rows of different lengths: a fixed part that is masked (a horizon, a prefix) is no padding."""
    return len(set(lengths)) > 1 and 0 < min(lengths) < max(lengths) <= width and any(n < width for n in lengths)


def _rows(lab: Lab, trial: Trial, each: Tensor, count: int, width: int) -> list[tuple[float, ...]]:
    """The entries of the first samples, a row each."""
    most = min(count, max(ENTRIES // width, 1))
    take: list[Edit] = [Take((each.name,), each.shape.index(count), tuple(range(most)))]
    entries = lab.entries(each.name, take, trial=trial.index)
    if each.shape.index(count) < each.shape.index(width):
        return [entries[start : start + width] for start in range(0, len(entries), width)]
    return [entries[start::most] for start in range(most)]


def _run(row: Sequence[float], token: float) -> int:
    return next((index for index, each in enumerate(row) if each != token), len(row))


def _compared(graph: Graph, trial: Trial, value: int | None) -> dict[float, bool]:
    """The numbers that an argument is compared with, and whether the model does that: its output depends on it."""
    found: dict[float, bool] = {}
    given, made = {each.value for each in trial.arguments}, {each.value for each in trial.outputs}
    for op in graph.readers().get(value, ()) if value is not None else ():
        number = op.args.get("1", op.args.get("other"))
        if op.name in ("eq", "ne", "__eq__", "__ne__") and isinstance(number, (int, float)):
            reached = graph.forward_of(op.makes)
            inside = not made.isdisjoint(reached) and given.isdisjoint(reached)
            found[float(number)] = found.get(float(number), False) or inside
    return found


def _bare(name: str) -> str:
    return re.split(r"[.']", name.rstrip("]'"))[-1]
