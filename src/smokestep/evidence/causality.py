"""Causality: what each prediction of a shifted target sees of the sequence that holds its answer, by nudging one entry.

The target's own entry is nudged, in one sample, in evaluation mode: what changes tells which positions read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from smokestep.evidence.alignment import Alignment, Alignments
from smokestep.evidence.carriers import CELLS, RECURRENT, Carrier, carrier_of, mixer, spreading
from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import bare
from smokestep.evidence.samples import Batch, Samples
from smokestep.evidence.trials import Difference, Edit, Other, Outcome, Take, Tensor, Trial, Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

SAME = 1e-5  # of the scale, within which two computations of one shape agree: none differ, but for sums over a spectrum
FAINT = 1e-4  # of the largest change: a convolution by Fourier transform spreads some 1e-7 of it over all positions
CUTS = 8  # places at which a declared promise is tested
ATTENTION = frozenset("scaled_dot_product_attention multi_head_attention_forward softmax softmax_".split())
PICKING = frozenset("argmin argmax round".split())
WINDOWED = frozenset("conv1d conv2d conv3d cumsum logcumsumexp cumprod unfold fft rfft".split())


@dataclass(frozen=True, slots=True)
class Sight:
    """What the predictions of one loss see of one argument. `skipped` is the reason where that was not to be told.

    `shift`: how far after its own position the target lies. `answer`: a prediction changes with the entry that is its
    target, also in training mode; `later`: with entries beyond it; `own`: with its own position's, `earlier`: with
    those before (None: not tested). `alone`: no other argument that the predictions depend on holds the target.
    `labels`, `label_name`: another argument holds the target, shifted by so many, and is not read by the predictions.
    `mixer`: the first operation that works along time, whatever it makes of it; `spreads`: one carries a change to
    later positions; `attends`, `recurs`, `windows`: the model has operations of these kinds. `drew`: it draws
    random numbers in evaluation mode. `squeezed`: the argument reaches the predictions only through something
    narrower than its embedding, or through picked codes, as in an autoencoder. `share`: of its rows, how many
    count. `several`: the argument is no vector. `called`: the line of the model's call. `carrier`: what carries the
    answer to the prediction.
    """

    model: str
    result: int
    argument: str
    line: Line | None = None
    definition: Line | None = None
    called: Line | None = None
    installed: bool = False
    shift: int = 0
    whole: bool = True
    wraps: bool = False
    several: bool = False
    skipped: str = ""
    answer: bool = False
    later: bool = False
    own: bool | None = None
    earlier: bool | None = None
    alone: bool = True
    spreads: bool = False
    mixer: Carrier | None = None
    drew: bool = False
    squeezed: bool = False
    share: float = 1.0
    attends: bool = False
    recurs: bool = False
    windows: bool = False
    labels: int | None = None
    label_name: str = ""
    positions: int = 0
    carrier: Carrier | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """What became of `causal=True` for one model. `leaks`: (position, later position whose change it shows)."""

    model: str
    line: Line | None = None
    skipped: str = ""
    leaks: tuple[tuple[int, int], ...] = ()
    carrier: Carrier | None = None


@dataclass(frozen=True, slots=True)
class Causality:
    """What was seen: one entry for each loss whose target is an argument; `promises` where causal was declared."""

    experiment: ClassVar[str] = "one token nudged: which positions see it"
    sights: tuple[Sight, ...]
    promises: tuple[Promise, ...] = ()
    declared: bool | None = None

    @classmethod
    def gather(cls, world: World, of: Of) -> Causality:
        """By some six calls of each model that has such a loss, on two samples."""
        declared = of(Declared).causal
        found, trials, samples = of(Alignments).found, of(Trials).trials, of(Samples)
        if declared is False or not (found or declared):
            return cls((), declared=declared)
        lab, calls = world.lab(), {each.result: each for each in of(Losses).calls if each.reaches_root and each.grad}
        sights: list[Sight] = []
        for trial in trials:
            mine = [each for each in found if each.trial == trial.index and each.result in calls]
            if mine:
                probe = _Probe(lab, trial, samples.of(trial), _operations(of(Flow), trial))
                for result in dict.fromkeys(each.result for each in mine):
                    sights += _together(
                        probe, [each for each in mine if each.result == result], calls[result], of(Flow)
                    )
        models = {each.model: each for each in reversed(trials)} if declared else {}
        promises = [_promised(lab, models[name], samples.of(models[name])) for name in reversed(models)]
        return cls(tuple(sights), tuple(promises), declared)


def _operations(flow: Flow, trial: Trial) -> frozenset[str]:
    graph = flow.graphs[trial.step]
    ends = {each.value for each in trial.outputs}
    call = next((each for each in graph.calls if ends & set(each.outputs)), None)
    if call is None:
        return frozenset()
    return frozenset(op.name for op in graph.ops if call.index < op.id <= max(call.outputs))


class _Probe:
    """The calls of one trial made again for this experiment, each once."""

    def __init__(self, lab: Lab, trial: Trial, batch: Batch, operations: frozenset[str]) -> None:
        self.lab, self.trial, self.batch, self.operations = lab, trial, batch, operations
        self.run = cache(partial(self._run))

    def _run(self, edits: tuple[Edit, ...], training: bool = False, again: int = 0) -> Outcome:
        return self.lab.run(self.trial.index, edits, training=training, losses=True)

    def base(self, aligned: Alignment) -> tuple[tuple[Edit, ...], int, int]:
        """The edits that leave two samples, if it is sure how; which of them is looked at, and how many there are."""
        batch, argument = self.batch, self.trial.argument(aligned.argument)
        count = 1 if aligned.samples is None or argument is None else argument.shape[aligned.samples]
        fits = (
            not batch.why and batch.separable and batch.dim == aligned.samples and aligned.argument in batch.arguments
        )
        if not fits or count <= 2 or batch.count != count:
            return (), aligned.sample, count
        other = 1 if aligned.sample == 0 else 0
        return (Take(batch.arguments, batch.dim, (aligned.sample, other)),), 0, 2

    def nudged(self, aligned: Alignment, sample: int, positions: Sequence[int]) -> Other:
        """Other entries at these positions of one sample."""
        at = () if aligned.samples is None else ((aligned.samples, (sample,)),)
        return Other(aligned.argument, (*at, (aligned.time, tuple(positions))))


def _together(probe: _Probe, aligned: Sequence[Alignment], call: LossCall, flow: Flow) -> list[Sight]:
    """The sights of one loss: arguments that its predictions do not depend on are labels, and no input."""
    pairs = [(each, *_seen(probe, each, call, flow)) for each in aligned]
    read = [sight for _, sight, touched in pairs if touched or sight.skipped]
    told = {sight.argument for sight in read if not sight.skipped}  # an unshifted one fits both ways round
    read = [sight for sight in read if not (sight.skipped and sight.argument in told)]
    labels = [each for each, _, touched in pairs if not touched and each.argument not in told]
    found = []
    for sight in read:
        shift, name = (labels[0].shift, labels[0].argument) if labels else (None, "")
        alone = len({each.argument for each in read}) == 1
        found.append(replace(sight, alone=alone, labels=shift, label_name=name))
    return found


def _seen(probe: _Probe, aligned: Alignment, call: LossCall, flow: Flow) -> tuple[Sight, bool]:
    trial, operations = probe.trial, probe.operations
    argument = trial.argument(aligned.argument)
    known = Sight(
        trial.model,
        aligned.result,
        aligned.argument,
        call.user_line,
        trial.definition,
        trial.line,
        trial.installed,
        aligned.shift,
        aligned.whole,
        aligned.wraps,
        several=argument is not None and len(argument.shape) > 1,
        attends=bool(ATTENTION & operations),
        recurs=bool((RECURRENT | CELLS) & operations),
        windows=bool(WINDOWED & operations),
        positions=aligned.length,
        share=len(aligned.counted) / aligned.rows,
    )
    base, sample, samples = probe.base(aligned)
    first, again = probe.run(base), probe.run(base, again=1)
    if first.error:
        return replace(known, skipped=f"its call could not be repeated in evaluation mode: {first.error}"), False
    measure = partial(probe.lab.apart, aligned, sample=sample, samples=samples)
    twice = measure(first, again)
    if twice is None:
        return replace(known, skipped="in evaluation mode it does not give the loss the same rows"), False
    if twice[0].beyond(0):
        return replace(known, skipped="two equal calls of it differ"), False
    start, counted = aligned.start, set(aligned.counted)
    asked = [j for j in aligned.counted if 0 <= j + aligned.offset < aligned.length]
    answers, later, own, earlier, touched = [], False, list[bool](), list[bool](), False
    for j in _some(asked):
        q = j + aligned.offset
        got = measure(first, probe.run((*base, probe.nudged(aligned, sample, (q,)))))
        if got is None:
            return replace(known, skipped="its call with one entry nudged gives other rows"), False
        difference, others = got
        if others:
            return replace(known, skipped="its samples influence each other"), False
        plain, any_of = set(_plainly(difference)) & counted, set(difference.beyond(0)) & counted
        touched = touched or bool(difference.beyond(0))
        answers += [j] if j in plain else []
        later = later or any(i < j for i in plain)
        own += [q - start in any_of] if q - start in counted else []
        earlier += [any(i > q - start for i in any_of)] if any(i > q - start for i in counted) else []
    if not touched and not _touched(probe, aligned, measure, base, sample):
        return known, False
    if why := _displaced(probe, aligned, measure, base, sample):
        return replace(known, skipped=why), True
    confirmed = [j for j in answers if _in_training(probe, aligned, base, sample, samples, j)]
    seen = replace(
        known,
        drew=first.drew,
        squeezed=aligned.shift == 0 and _squeezed(flow.graphs[trial.step], argument, call),
        answer=bool(confirmed),
        later=later,
        own=any(own) if own else None,
        earlier=any(earlier) if earlier else None,
    )
    if (confirmed and seen.shift > 0) or seen.earlier is False or seen.own is False:
        q = min(confirmed or asked, key=lambda j: abs(j - aligned.rows // 2)) + aligned.offset
        touches = probe.lab.trail(trial.index, base, (*base, probe.nudged(aligned, sample, (q,))))
        sizes = {aligned.length, aligned.made}
        carrier = carrier_of(touches, q, sizes, flow.graphs[trial.step]) if confirmed else None
        spreads = spreading(touches, q, sizes) or q == aligned.length - 1  # at the end it has nowhere to go
        seen = replace(seen, carrier=carrier, spreads=spreads, mixer=mixer(touches, sizes))
    return seen, True


def _squeezed(graph: Graph, argument: Tensor | None, call: LossCall) -> bool:
    """Whether every way from the embedded argument to the prediction leads through half its width or less, of the
    classes' too if they are fewer; or some way through codes that were picked."""
    if argument is None or argument.value is None or call.classes is None:
        return False
    prediction = call.prediction.value
    makers = [op for op in graph.readers().get(argument.value, ()) if bare(op.name) == "embedding"]
    embedded = [value for op in makers for value in op.makes if value in graph.values]
    if not embedded:
        return False
    size = {id: math.prod(graph.values[id].shape) for id in graph.values}
    least = min(min(size[each] for each in embedded), math.prod(argument.shape) * call.classes) / 2
    between = graph.forward_of(embedded) & graph.backward_of([prediction])
    if any(bare(op.name) in PICKING and not between.isdisjoint(op.makes) for op in graph.ops):
        return True
    wide = graph.forward_of(embedded, through=lambda op: any(size.get(each, 0) > least for each in op.makes))
    return prediction not in wide


def _some(rows: Sequence[int]) -> list[int]:
    """Three of the rows: the middle one, the last, and one early."""
    return list(dict.fromkeys([rows[len(rows) // 2], rows[-1], rows[len(rows) // 4]]))


def _plainly(difference: Difference) -> tuple[int, ...]:
    """The rows that changed by more than rounding, and not faintly beside the others."""
    limit = FAINT * max(difference.largest, default=0.0)
    return tuple(i for i in difference.over(SAME) if difference.largest[i] > limit)


def _touched(
    probe: _Probe, aligned: Alignment, measure: Callable[..., Any], base: tuple[Edit, ...], sample: int
) -> bool:
    """Whether the predictions depend on the argument at all."""
    everything = probe.run((*base, probe.nudged(aligned, sample, range(aligned.length))))
    got = measure(probe.run(base), everything)
    return got is not None and bool(got[0].beyond(0))


def _displaced(
    probe: _Probe, aligned: Alignment, measure: Callable[..., Any], base: tuple[Edit, ...], sample: int
) -> str:
    """Why position p of what the model made need not belong to entry p of the argument; "" if it does."""
    if aligned.made == aligned.length:
        return ""
    if aligned.made > aligned.length:
        return f"it makes {aligned.made} positions of {aligned.length}"
    left_out = probe.run((*base, probe.nudged(aligned, sample, range(aligned.made, aligned.length))))
    got = measure(probe.run(base), left_out)
    if got is None or got[0].beyond(0):  # what it leaves out is not the end
        return f"it makes {aligned.made} positions of {aligned.length}"
    return ""


def _in_training(
    probe: _Probe, aligned: Alignment, base: tuple[Edit, ...], sample: int, samples: int, row: int
) -> bool:
    """Whether the prediction of a row sees its answer in training mode as well, under the same random numbers."""
    nudge = probe.nudged(aligned, sample, (row + aligned.offset,))
    first, nudged = probe.run(base, training=True), probe.run((*base, nudge), training=True)
    got = probe.lab.apart(aligned, first, nudged, sample=sample, samples=samples)
    return got is not None and row in _plainly(got[0])


# ── what was declared ──────────────────────────────────────────────────────────────────────────────────────────────
def _promised(lab: Lab, trial: Trial, batch: Batch) -> Promise:
    known = Promise(trial.model, trial.definition or trial.line)
    given = [each for each in trial.arguments if len(each.shape) > 1 and (each.floating or each.whole)]
    pairs = [
        (each, dim, index)
        for each in given
        for index, made in enumerate(trial.outputs)
        for dim in _times(each.shape, made.shape, batch)
    ]
    if not pairs:
        return replace(known, skipped="which dimension counts the positions could not be told")
    first, again = lab.run(trial.index), lab.run(trial.index)
    if first.error:
        return replace(known, skipped=f"its call could not be repeated in evaluation mode: {first.error}")
    unkept, kept = list[tuple[Promise, tuple[str, int]]](), set[tuple[str, int]]()
    for argument, dim, index in pairs:
        length = argument.shape[dim]
        for cut in sorted({length * each // (CUTS + 1) for each in range(1, CUTS + 1)} | {length - 1} - {0}):
            after = Other(argument.name, ((dim, tuple(range(cut, length))),))
            apart, noise = lab.differences(first, lab.run(trial.index, [after]), dim=dim), lab.differences(first, again)
            here, same = (each[index] if index < len(each) else None for each in (apart, noise))
            if here is None or same is None or same.beyond(0):
                return replace(known, skipped="two equal calls of it differ, or its output has another form")
            leaks = tuple((t, cut) for t in _plainly(here) if t < cut)
            if leaks:
                nudge = [Other(argument.name, ((dim, (cut,)),))]
                touches = lab.trail(trial.index, [], nudge)
                carrier = carrier_of(touches, cut, {length}, None)
                unkept.append((Promise(known.model, known.line, leaks=leaks, carrier=carrier), (argument.name, index)))
                break
        else:
            kept.add((argument.name, index))
    # Channels read each other freely: a pair breaks the promise if none of its dimensions keeps it.
    broken = [each for each, name in unkept if name not in kept]
    return broken[0] if broken else known


def _times(given: tuple[int, ...], made: tuple[int, ...], batch: Batch) -> list[int]:
    """What may be the dimension of time: those that an argument and an output share, but for that of the samples."""
    samples = 0 if batch.why else batch.dim
    return [d for d, sizes in enumerate(zip(given, made, strict=False)) if d != samples and sizes[0] == sizes[1] > 1]
