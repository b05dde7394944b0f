"""Alignment: finds the losses whose target is a field of the batch shifted in time, and where their rows were made.

Entries must be equal, all that count, for one shift only; rows are known again by their scores in what the prediction
was before it was cut, so that it does not matter how it was cut or flattened on its way to the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from smokestep.backends.jax.calls import Modelled
from smokestep.backends.jax.groups import Group
from smokestep.backends.jax.lab.answers import CLASSED, Compared, compared
from smokestep.backends.jax.lab.compare import difference
from smokestep.backends.jax.lab.rerun import Heard
from smokestep.backends.jax.lab.trail import RECURRENCE, ran
from smokestep.backends.jax.losses import reduced
from smokestep.backends.shifted import LEAST, Fit, Layout, in_time, layouts, shifted
from smokestep.evidence.alignment import Alignment
from smokestep.evidence.flow import Graph
from smokestep.evidence.trials import Difference

CUT = 64  # positions by which a prediction may be shorter than what the model made
TOKENS = 1 << 20  # entries up to which targets and scores are compared
WIDTH = 16  # entries of a row of scores by which it is known again: rows that agree in 16 real entries are one row


@dataclass(slots=True)
class Answer:
    """What one loss compared: a row of scores, or a number, for each entry of the target. `counted`: which count."""

    prediction: Any
    target: Any
    classed: bool
    counted: Any


@dataclass(frozen=True, slots=True)
class Rows:
    """Where the rows of one alignment are found in a run: for loss `nth`, `depth` steps on in the chain it ends."""

    layout: Layout
    nth: int
    depth: int
    length: int
    losses: int

    def of(self, heard: Heard | None, samples: int) -> Any:
        """The rows of one run, as (sample, position, feature)."""
        losses = compared(heard.body) if heard is not None else []
        found = losses[self.nth] if len(losses) == self.losses else None
        if heard is None or found is None or len(found.chain) != self.length:
            return None
        made = heard.values.get(found.chain[self.depth])
        return None if made is None else in_time(np.asarray(made), self.layout, samples)


def answered(heard: Heard, loss: Compared, weighed: bool) -> Answer | None:
    """What a loss compared in one run, if each entry of its target has a row of scores."""
    target, prediction = (heard.values.get(each) for each in (loss.target, loss.prediction))
    if target is None or prediction is None or not 0 < target.size <= TOKENS:
        return None
    target, classed = np.asarray(target), loss.name == CLASSED
    known = np.ones(target.shape, bool)
    if classed and target.dtype.kind not in "iu":
        if target.shape != prediction.shape:
            return None
        target, known = _chosen(target)
    kept = np.asarray(prediction[..., :WIDTH] if classed else prediction)
    if target.dtype.kind not in "iu" and (classed or not jnp.issubdtype(target.dtype, jnp.floating)):
        return None
    if kept.size > TOKENS or (kept.shape[:-1] if classed else kept.shape) != target.shape:
        return None
    if weighed:
        felt = heard.felt.get(loss.prediction)
        if felt is None:
            return None
        reached = np.asarray(felt != 0)
        known = known & (reached.any(-1) if classed else reached)
    return Answer(kept, target, classed, known)


def _chosen(shares: Any) -> tuple[Any, Any]:
    """The classes of rows that have one large entry and are otherwise alike, and which rows are of that form."""
    plain = shares.astype(np.float32)
    top, rest = plain.max(-1), np.sort(plain, -1)[..., :-1]
    known = (top > rest[..., -1]) & (rest[..., 0] == rest[..., -1]) if rest.shape[-1] else np.zeros(top.shape, bool)
    return plain.argmax(-1).astype(np.int64), known


def fits(answer: Answer, argument: Any) -> list[Fit]:
    """How the target of a loss is this argument shifted, if their types can be compared."""
    whole, real = argument.dtype.kind in "iu", jnp.issubdtype(argument.dtype, jnp.floating)
    if not argument.ndim or not 0 < argument.size <= TOKENS or whole != (answer.target.dtype.kind in "iu"):
        return []
    if not (whole or real):
        return []
    argument = argument if whole else argument.astype(answer.target.dtype)
    return shifted(answer.target, answer.counted, argument)


def results(modelled: Modelled, graph: Graph, arguments: Sequence[Any]) -> list[tuple[int, bool]]:
    """What each recognised loss of a recorded function made, in order, and whether it is more than its mean or sum;
    none if no target can be one of the arguments."""
    if not any(_possible(each, modelled.body.sketch.avals, arguments) for each in compared(modelled.body) if each):
        return []
    groups = [each for each in modelled.body.groups if isinstance(each, Group) and each.kind == "loss" and each.makes]
    made = [modelled.run.ids.get(each.makes[0], -1) for each in groups]
    found = [reduced(each, graph) for each in made if each in graph.values]
    return [(value, how == "none") for value, how in found] if len(found) == len(made) else []


def _possible(loss: Compared, avals: Sequence[Any], arguments: Sequence[Any]) -> bool:
    whole = loss.name == CLASSED
    return avals[loss.target].size >= LEAST and any(
        each.size >= LEAST and bool(jnp.issubdtype(each.dtype, jnp.integer if whole else jnp.floating))
        for each in arguments
    )


def embedded(names: Mapping[str, int], graph: Graph) -> frozenset[str]:
    """The fields of the batch that are embedded just as they are."""
    readers = graph.readers()
    return frozenset(n for n, value in names.items() if any(op.name == "embedding" for op in readers.get(value, ())))


# ── where the rows were made ───────────────────────────────────────────────────────────────────────────────────────
def _placed(rows: Any, counted: Any, made: Any) -> list[int]:
    """The positions of what the model made at which the rows may begin."""
    count, room = rows.shape[1], made.shape[1] - rows.shape[1]
    if made.shape[0] != rows.shape[0] or made.shape[2] != rows.shape[2] or not 0 <= room <= CUT:
        return []
    return [start for start in range(room + 1) if _same(rows[counted], made[:, start : start + count][counted])]


def _same(one: Any, other: Any) -> bool:
    """Whether scores are the same, or differ by one number a row, as they do after a logarithm of softmax."""
    eps = max(float(jnp.finfo(each.dtype).eps) for each in (one, other))
    first, second = one.astype(np.float64), other.astype(np.float64)
    limit = 16 * eps * (1 + float(np.abs(second).max()))
    if bool((np.abs(first - second) <= limit).all()):
        return True
    if one.shape[-1] < 2:
        return False
    return bool((np.abs((first - first[..., :1]) - (second - second[..., :1])) <= 2 * limit).all())


def _where(heard: Heard, loss: Compared, answer: Answer, found: Fit) -> tuple[Layout, int, int, int] | None:
    """Where the rows of a loss lie in what its prediction was, the earliest first: (layout, depth, start, positions);
    None where they could be in several places."""
    samples = found.series.shape[0]
    mine = in_time(answer.prediction, found.layout, samples)
    if mine is None or mine.shape[:2] != found.counted.shape:
        return None
    for depth, number in enumerate(loss.chain):
        view = heard.values.get(number)
        if view is None or not jnp.issubdtype(view.dtype, jnp.floating) or view.ndim < 1 + answer.classed:
            continue
        kept = view[..., :WIDTH] if answer.classed else view
        if not 0 < kept.size <= TOKENS:
            continue
        array = np.asarray(kept)
        for layout in layouts(array.ndim - answer.classed, samples):
            made = in_time(array, layout, samples)
            starts = _placed(mine, found.counted, made) if made is not None else []
            if len(starts) > 1:
                return None
            if starts:
                return layout, depth, starts[0], made.shape[1]
    return None


def align(
    heard: Heard,
    trial: int,
    results: Sequence[tuple[int, bool]],
    arguments: Iterable[tuple[str, Any]],
    direct: frozenset[str],
) -> Iterator[tuple[Alignment, Rows]]:
    """The alignments of one trial. `results`: what each loss made in the recording, and whether it is weighed.
    `direct`: the arguments that are embedded as they are. Of these alone it shows whether they are squeezed after, and
    not where a loop over time works on them."""
    losses = compared(heard.body)
    direct = frozenset() if any(each.name == RECURRENCE for each in ran(heard)) else direct
    if len(losses) != len(results):
        return
    known = [(name, np.asarray(array)) for name, array in arguments]
    for nth, (loss, (result, weighed)) in enumerate(zip(losses, results, strict=True)):
        answer = answered(heard, loss, weighed) if loss is not None else None
        for name, argument in known if answer is not None else ():
            assert answer is not None and loss is not None
            for found in fits(answer, argument):
                where = _where(heard, loss, answer, found)
                hidden = answer.classed and name not in direct
                if where is None or (found.offset == where[2] and hidden):
                    continue
                rows = Rows(where[0], nth, where[1], len(loss.chain), len(losses))
                yield _told(result, trial, name, found, where[2], where[3]), rows


def _told(result: int, trial: int, argument: str, found: Fit, start: int, made: int) -> Alignment:
    length, count = found.series.shape[1], found.counted.shape[1]
    within = [j for j in range(count) if 0 <= j + found.offset < length]
    sample = int(found.counted[:, within].sum(1).argmax())
    return Alignment(
        trial=trial,
        result=result,
        argument=argument,
        time=found.time,
        samples=None if found.series.shape[0] == 1 else 1 if found.time == 0 else 0,
        offset=found.offset,
        start=start,
        length=length,
        made=made,
        rows=count,
        sample=sample,
        counted=tuple(map(int, found.counted[sample].nonzero()[0])),
        compared=found.compared,
        whole=found.series.dtype.kind in "iu",
        wraps=found.wraps,
    )


def apart(rows: Rows, one: Any, other: Any, sample: int, samples: int) -> tuple[Difference, bool] | None:
    """How far two outcomes differ in the rows of one sample, and whether they do in any other sample."""
    first, second = (rows.of(each.handle["heard"], samples) for each in (one, other))
    if first is None or second is None or first.shape != second.shape or first.shape[0] != samples:
        return None
    eps = one.handle["eps"]
    here = difference("", first[sample], second[sample], 0, None, eps)
    whole = difference("", first, second, 0, None, eps)
    if here is None or whole is None:
        return None
    return here, bool(set(whole.beyond(0)) - {sample})
