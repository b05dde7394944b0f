"""Finds a straight-through estimator that is turned round: the quantised value is not used, or gets a wrong sign.

## What it finds
`q + (z - q).detach()` where `q` was picked or rounded from `z`: its value is `z` again, and the gradient goes to `q`.
And `q + (q - z).detach()` or `z + (z - q).detach()`, whose value is neither of the two.

## Why it matters
The network after it is trained on the values before the quantisation, which it will not be given later, and what comes
before is not reached by its loss.

## Bad
```python
def training():
    encoder, codes, decoder = nn.Linear(8, 4), nn.Embedding(10, 4), nn.Linear(4, 8)
    model = nn.ModuleList([encoder, codes, decoder])
    optimizer = torch.optim.Adam(model.parameters())
    def step(x):
        z = encoder(x)
        q = codes(torch.cdist(z, codes.weight).argmin(1))
        decoded = decoder(q + (z - q).detach())
        loss = F.mse_loss(decoded, x) + F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randn(16, 8))
```

## Good
```python
def training():
    encoder, codes, decoder = nn.Linear(8, 4), nn.Embedding(10, 4), nn.Linear(4, 8)
    model = nn.ModuleList([encoder, codes, decoder])
    optimizer = torch.optim.Adam(model.parameters())
    def step(x):
        z = encoder(x)
        q = codes(torch.cdist(z, codes.weight).argmin(1))
        decoded = decoder(z + (q - z).detach())
        loss = F.mse_loss(decoded, x) + F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randn(16, 8))
```

## When to allow it
The gradient is to go to the codes, and the value to pass as it was.

## Source
van den Oord et al., "Neural Discrete Representation Learning" (2017), section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.origins import same_entries
from smokestep.findings import Finding, Line, NotApplicable, Place

PICKS = frozenset("argmin argmax topk sort round floor ceil trunc sign bucketize searchsorted min max".split())
ADDS, SUBS = frozenset("add __radd__ add_ __iadd__".split()), frozenset("sub subtract sub_".split())


@check(severity="suspicion", since="0.1")
def reversed_estimator(flow: Flow) -> Iterator[Said]:
    found = [(graph, op, *parts) for graph in flow.graphs for op in graph.ops if (parts := _estimator(graph, op))]
    if not found:
        yield NotApplicable("no straight-through estimator was seen")
    told: set[Line | None] = set()
    for graph, op, kept, first, second in found:
        swapped = second == kept and _picked(graph, kept, first)
        doubled = first == kept and (_picked(graph, kept, second) or _picked(graph, second, kept))
        if not (swapped or doubled) or op.caller in told:
            continue
        told.add(op.caller)
        yield Finding(
            "the value of this straight-through estimator is what was there before the quantisation, and its gradient "
            "goes to the quantised one: they are exchanged"
            if swapped
            else "this straight-through estimator adds the difference with the wrong sign: its value is as far from "
            "the quantised one as twice the way back",
            where=Place.of(op.module or None, op.caller),
            cause=op.caller,
            hint="z + (q - z).detach() has the value of q and hands the gradient to z",
        )


def _estimator(graph: Graph, op: Op) -> tuple[int, int, int] | None:
    """What keeps its gradient, and the two of whose detached difference it is added to; swapped for one subtracted."""
    if op.name not in ADDS | SUBS or len(op.reads) != 2 or not graph.passes_gradient(op):
        return None
    for kept, other in (op.reads, op.reads[::-1]) if op.name in ADDS else (op.reads,):
        cut = graph.maker(other)
        difference = graph.maker(cut.reads[0]) if cut is not None and cut.name in ("detach", "data") else None
        if difference is not None and difference.name in SUBS and len(difference.reads) == 2:
            first, second = (same_entries(graph, each) for each in difference.reads)
            kept = same_entries(graph, kept)
            if kept in (first, second) and first != second:
                return (kept, first, second) if op.name in ADDS else (kept, second, first)
    return None


def _picked(graph: Graph, value: int, of: int) -> bool:
    """Whether a value was made with indices or whole numbers that were picked by another."""
    reads = graph.forward_of([of])
    picks = [made for op in graph.ops if op.name in PICKS and not reads.isdisjoint(op.reads) for made in op.makes]
    return value in graph.forward_of(picks) and value != of
