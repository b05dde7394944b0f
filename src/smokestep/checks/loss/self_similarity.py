"""Finds a contrastive loss in which every sample is among its own candidates.

## What it finds
Similarities of a batch with itself, `z @ z.T`, that go into a cross-entropy over classes, or into the sum of a softmax
written by hand, with their diagonal: nothing masks it, leaves it out or subtracts it.

## Why it matters
A sample is more alike to itself than to anything, and by far at a low temperature: the softmax is full of it. As a
negative it drowns all others, and as the positive it makes the task one that needs no learning.

## Bad
```python
def training():
    encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16))
    optimizer = torch.optim.Adam(encoder.parameters())
    def step(x):
        views = torch.cat([x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)])
        z = F.normalize(encoder(views), dim=1)
        similarity = z @ z.T / 0.5
        partner = torch.arange(2 * len(x)).roll(len(x))
        loss = F.cross_entropy(similarity, partner)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randn(12, 8))
```

## Good
```python
def training():
    encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16))
    optimizer = torch.optim.Adam(encoder.parameters())
    def step(x):
        views = torch.cat([x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)])
        z = F.normalize(encoder(views), dim=1)
        similarity = (z @ z.T / 0.5).fill_diagonal_(-torch.inf)
        partner = torch.arange(2 * len(x)).roll(len(x))
        loss = F.cross_entropy(similarity, partner)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randn(12, 8))
```

## When to allow it
Only the others are to be driven apart, and a constant in the softmax does not matter.

## Source
Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (2020), equation 1: k is not i.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.losses import Losses
from smokestep.evidence.origins import VIEWS, bare
from smokestep.findings import Finding, Line, NotApplicable, Place

PRODUCTS = frozenset("matmul mm einsum cosine_similarity".split())
SCALES = frozenset("mul div __mul__ __rmul__ true_divide __truediv__ mul_ div_".split())


@check(severity="suspicion", since="0.1")
def self_similarity(flow: Flow, losses: Losses) -> Iterator[Said]:
    found = [(graph, op) for graph in flow.graphs for op in graph.ops if _of_itself(graph, op)]
    if not found:
        yield NotApplicable("no batch is compared with itself")
    told: set[Line | None] = set()
    for graph, op in found:
        scores = frozenset(_scores(graph, op.makes[0]))
        used = next((call.caller for call in losses.calls if call.step == graph.step and call.prediction.value in scores
                     and call.name == "cross_entropy" and call.grad and call.target
                     and "int" in call.target.dtype), None)  # fmt: skip
        line = used or next(_summed(graph, scores), None)
        if line is None or op.caller in told:
            continue
        told.add(op.caller)
        yield Finding(
            f"each of {graph.values[op.makes[0]].shape[0]} samples is compared with all, itself too, and the diagonal "
            "is still there where the softmax is taken: every sample is its own nearest candidate",
            where=Place.of(op.module or None, op.caller),
            cause=op.caller,
            hint="leave the diagonal out: similarity.fill_diagonal_(-torch.inf), before the softmax",
            related=((line, "the softmax is here"),) if line != op.caller else (),
        )


def _of_itself(graph: Graph, op: Op) -> bool:
    """Whether an op gives the similarities of every sample of a batch with every one."""
    if op.name not in PRODUCTS or len(op.reads) != 2 or not op.makes or not graph.passes_gradient(op):
        return False
    shape = graph.values[op.makes[0]].shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2 or len({_entries(graph, v) for v in op.reads}) != 1:
        return False
    return any(graph.values[v].kind == "input" for v in graph.backward_of(op.reads))


def _entries(graph: Graph, value: int) -> int:
    """The value that this is a view of, turned or not."""
    while (op := graph.maker(value)) is not None and op.reads and op.name in VIEWS | {"__getitem__"}:
        if op.name == "__getitem__" and len(graph.values[value].shape) <= len(graph.values[op.reads[0]].shape):
            break  # an index that adds a dimension keeps all entries
        value = op.reads[0]
    return value


def _scores(graph: Graph, value: int) -> Iterator[int]:
    """The similarities, scaled by a number, or less their greatest."""
    ahead = [value]
    while ahead:
        yield (value := ahead.pop())
        for op in graph.readers().get(value, ()):
            others = [graph.values[each] for each in op.reads if each != value]
            scaled = op.name in SCALES and all(not each.shape for each in others)
            less = op.name == "sub" and others and not others[0].requires_grad and others[0].shape[-1:] == (1,)
            if scaled or (less and op.reads[0] == value) or op.name in ("clone", "float", "contiguous"):
                ahead += op.makes


def _summed(graph: Graph, scores: frozenset[int]) -> Iterator[Line | None]:
    """Where exponentials of the scores are added up along one dimension, and the logarithm taken or divided by it."""
    readers = graph.readers()
    for op in (op for value in scores for op in readers.get(value, ())):
        if op.name == "logsumexp":
            yield op.caller
        if bare(op.name) != "exp":
            continue
        for total in (each for made in op.makes for each in readers.get(made, ()) if each.name == "sum"):
            if not graph.values[total.makes[0]].shape:
                continue
            one = total.makes[0]
            more = [far.makes[0] for far in readers.get(one, ()) if far.name == "add" and len(far.reads) == 1]
            after = [(value, far) for value in (one, *more) for far in readers.get(value, ())]
            if any(far.name == "log" or ("div" in far.name and far.reads[-1] == value) for value, far in after):
                yield total.caller
