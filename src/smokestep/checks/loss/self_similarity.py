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
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.similarities import of_itself, scores, summed
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def self_similarity(flow: Flow, losses: Losses) -> Iterator[Said]:
    found = [(graph, op) for graph in flow.graphs for op in graph.ops if of_itself(graph, op)]
    if not found:
        yield NotApplicable("no batch is compared with itself")
    told: set[Line | None] = set()
    for graph, op in found:
        kept = frozenset(scores(graph, op.makes[0]))
        used = next((call.caller for call in losses.calls if call.step == graph.step and call.prediction.value in kept
                     and call.name == "cross_entropy" and call.grad and call.target
                     and "int" in call.target.dtype), None)  # fmt: skip
        line = used or next(summed(graph, kept), None)
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
