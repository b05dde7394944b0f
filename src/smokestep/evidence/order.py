"""Order: whether a model of token sequences knows the order of its tokens, by exchanging some of them.

Asked only where a model embeds whole numbers and attends, and where nothing of the length of the sequence enters it
that was not made of its arguments: a table of positions that is still zero is a table of positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.samples import Batch, Samples
from smokestep.evidence.trials import Edit, Other, Take, Tensor, Trial, Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

ATTENDS = frozenset("scaled_dot_product_attention multi_head_attention_forward _transformer_encoder_layer_fwd".split())
LEAST = 4  # positions: the first and the last stay, and two must be left to exchange
SAME = 1e-4  # of the scale: the same sums in another order differ by rounding
PICKED = 3  # samples


@dataclass(frozen=True, slots=True)
class Ordered:
    """What was seen of one model. `blind`: with inner tokens exchanged, its output is the same, or exchanged alike;
    `each`: it has an output for each token. `line`: where the tokens are embedded."""

    model: str
    argument: str
    positions: int
    blind: bool
    each: bool
    line: Line | None = None
    definition: Line | None = None
    installed: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """What was seen of every model that could be asked."""

    experiment: ClassVar[str] = "tokens exchanged: whether the model notices"
    models: tuple[Ordered, ...] = ()

    @classmethod
    def gather(cls, world: World, of: Of) -> Orders:
        """By three calls of each such model, on a few samples."""
        flow, samples, lab = of(Flow), of(Samples), world.lab()
        found = []
        for trial in of(Trials).of_models():
            graph, batch = flow.graphs[trial.step], samples.of(trial)
            tokens = _tokens(trial, batch) if not of(Declared).causal else None
            embedded = _embedded(graph, trial, tokens) if tokens else None
            if tokens and embedded:
                seen = _asked(lab, trial, batch, tokens, embedded)
                found += [seen] if seen else []
        return cls(tuple(found))


def _tokens(trial: Trial, batch: Batch) -> Tensor | None:
    """The one argument of whole numbers [samples, positions]; what else there is has the same two dimensions."""
    whole = [each for each in trial.arguments if each.whole and len(each.shape) == 2 and each.low != each.high]
    if len(whole) > 1:  # a mask beside the tokens
        whole = [each for each in whole if (each.high or 0) > 1]
    if batch.why or batch.dim != 0 or trial.others or len(whole) != 1 or whole[0].shape[1] < LEAST:
        return None
    return whole[0] if all(each.shape == whole[0].shape for each in trial.arguments) else None


def _embedded(graph: Graph, trial: Trial, tokens: Tensor) -> Op | None:
    """Where tokens are embedded in a model that attends to all of them, and is given nothing of their number."""
    ends = {each.value for each in trial.outputs}
    call = next((each for each in graph.calls if ends & set(each.outputs)), None)
    if call is None or tokens.value is None:
        return None
    ops = [op for op in graph.ops if call.index < op.id <= max(call.outputs)]
    given = graph.forward_of(value for _, value in call.inputs)
    size, ahead = tokens.shape[1], graph.forward_of([tokens.value])
    apart = {value for op in ops for value in (*op.reads, *op.makes) if value not in given}
    if any(size in graph.values[each].shape and not _layer(graph, each, ops) for each in apart):
        return None
    scores = [graph.values[op.makes[0]].shape for op in ops if op.name == "softmax" and op.makes]
    attends = any(shape[-2:] == (size, size) for shape in scores) or any(op.name in ATTENDS for op in ops)
    return next((op for op in ops if op.name == "embedding" and op.reads[0] in ahead), None) if attends else None


def _layer(graph: Graph, value: int, ops: list[Op]) -> bool:
    """A weight of a layer, whose sizes are as they are."""
    users = {op.name for op in ops if value in op.reads}
    return graph.values[value].kind == "parameter" and users <= {"linear", "layer_norm", "embedding", *ATTENDS}


def _asked(lab: Lab, trial: Trial, batch: Batch, tokens: Tensor, embedded: Op) -> Ordered | None:
    size, names = tokens.shape[1], tuple(each.name for each in trial.arguments)
    turned = (0, *range(size - 2, 0, -1), size - 1)  # its own inverse; models read their answer off the ends
    few: list[Edit] = [Take(names, 0, tuple(range(min(PICKED, batch.count))))] if batch.separable else []
    base, other = lab.run(trial.index, few), lab.run(trial.index, [*few, Take(names, 1, turned)])
    changed = lab.run(trial.index, [*few, Other(tokens.name, ((1, (1, 2)),))])
    if base.error or other.error or changed.error or base.drew or not base.outputs:
        return None
    along = [len(each.shape) > 1 and each.shape[1] == size for each in base.outputs]
    if len(set(along)) > 1:
        return None
    each = along[0]
    same = lab.differences(base, other, dim=1, at=turned) if each else lab.differences(base, other)
    reads = [got for got in lab.differences(base, changed) if got is not None and got.over(SAME)]
    if not reads or any(got is None for got in same):
        return None
    blind = all(not got.over(SAME) for got in same if got is not None)
    return Ordered(
        trial.model, tokens.name, size, blind, each, embedded.caller, trial.definition or trial.line, trial.installed
    )
