"""Samples: which dimension of a model's arguments and outputs counts the samples of the batch.

Declared, or inferred from sizes that agree; where they do not, the reason is given instead, and no experiment guesses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.evidence.alignment import Alignments
from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.trials import Tensor, Trial, Trials

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Batch:
    """The samples of one trial: how many, and the arguments and outputs that have a row for each along `dim`.

    `why` is the reason where that could not be told; all else is then empty. `separable`: fewer samples can be picked,
    for no other argument has a dimension of that size.
    """

    trial: int
    dim: int = 0
    count: int = 0
    arguments: tuple[str, ...] = ()
    outputs: tuple[int, ...] = ()
    separable: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class Samples:
    """The batches of the trials, one each, in their order; `inferred` says what was assumed."""

    batches: tuple[Batch, ...]
    inferred: tuple[str, ...] = ()

    def of(self, trial: Trial) -> Batch:
        """The batch of one trial."""
        return self.batches[trial.index]

    @classmethod
    def gather(cls, world: World, of: Of) -> Samples:
        """Read from the trials, the declarations and the graph in which they ran."""
        trials, declared, flow = of(Trials), of(Declared), of(Flow)
        dims = dict.fromkeys((each.index for each in trials.trials), declared.batch_dim)
        for each in of(Alignments).found:
            if declared.batch_dim is None and each.shift and each.time == 0 and each.samples is not None:
                dims[each.trial] = each.samples  # its target is its input shifted along dimension 0: that is time
        batches = tuple(batch_of(each, dims[each.index], flow.graphs[each.step]) for each in trials.trials)
        return cls(batches, tuple(_taken(trials, batches, declared.batch_dim)))


def _taken(trials: Trials, batches: tuple[Batch, ...], declared: int | None) -> Iterator[str]:
    """What was assumed of the models, in one sentence for each dimension."""
    counts = [(each.model, batches[each.index]) for each in trials.of_models() if not batches[each.index].why]
    if counts and declared is None:
        for dim in dict.fromkeys(batch.dim for _, batch in counts):
            mine = [(batch.count, model or "the model") for model, batch in counts if batch.dim == dim]
            told = ", ".join(f"{count} samples given to {model}" for count, model in mine)
            yield f"took dimension {dim} for the batch: {told}"


def batch_of(trial: Trial, declared: int | None, graph: Graph) -> Batch:
    """The batch of one trial, or the reason why there is none that is sure."""
    if declared == -1:
        return Batch(trial.index, why="no dimension counts samples, as declared")
    ranked = [each for each in trial.arguments if each.shape]
    if not ranked:
        return Batch(trial.index, why="the model takes no tensor with samples")
    if trial.others:
        return Batch(trial.index, why=f"`{trial.others[0]}` is no tensor, so that its samples cannot be picked")
    dim = declared or 0
    sizes = Counter(each.shape[dim] for each in ranked if len(each.shape) > dim)
    if not sizes:
        return Batch(trial.index, why=f"no argument has a dimension {dim}")
    count = next(each.shape[dim] for each in ranked if len(each.shape) > dim)
    with_rows = [each for each in ranked if len(each.shape) > dim and each.shape[dim] == count]
    outputs = tuple(
        index for index, each in enumerate(trial.outputs) if len(each.shape) > dim and each.shape[dim] == count
    )
    why = ""
    if count < 2:
        why = "the batch holds one sample"
    elif not outputs:
        why = "no output has a row for each sample"
    elif declared is None:
        why = _doubt(ranked, with_rows, count) or _unconfirmed(trial, graph, count)
    if why:
        return Batch(trial.index, why=why)
    separable = not any(count in each.shape for each in ranked if each not in with_rows)
    return Batch(trial.index, dim, count, tuple(each.name for each in with_rows), outputs, separable)


def _doubt(ranked: list[Tensor], with_rows: list[Tensor], count: int) -> str:
    """A reason to think that dimension 0 counts something else: the nodes of a graph, the elements of one set."""
    for each in ranked:
        if each.whole and len(each.shape) == 2 and each.shape[0] == 2 and each not in with_rows:
            return f"`{each.name}` looks like the edges of a graph, whose nodes are no samples"
        if each.shape == (count, count) and len(ranked) > 1:
            return f"`{each.name}` relates every row to every row: they are no samples"
        if each.name.endswith(("edge_index", "adj", "adjacency")):
            return f"`{each.name}` looks like the edges of a graph, whose nodes are no samples"
    if len(ranked) > 1 and any(e.name in ("batch", "batch_index", "batch_idx") and e.whole for e in with_rows):
        return "the rows are the nodes of several graphs"
    return ""


def _unconfirmed(trial: Trial, graph: Graph, count: int) -> str:
    """Nothing but the model's own arguments and outputs has this number of rows: no label confirms it."""
    given = {each.value for each in trial.arguments if each.value is not None}
    learned = graph.forward_of(value.id for value in graph.values.values() if value.kind == "parameter")
    mine = graph.backward_of(given) | graph.forward_of(given) | learned
    data = (value for key, value in graph.values.items() if key not in mine and value.shape)
    if any(each.shape[0] == count or (len(each.shape) == 1 and each.shape[0] % count == 0) for each in data):
        return ""
    return "nothing besides the model's input has a row for each sample"
