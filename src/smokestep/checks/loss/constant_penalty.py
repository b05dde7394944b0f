"""Finds a penalty on derivatives that adds a mere number to the loss, because they were taken without a graph.

## What it finds
A term of a loss that is computed from the result of `torch.autograd.grad` called without `create_graph=True`. It has no
gradient history, and nobody detached it.

## Why it matters
The loss contains the penalty, every log shows it, and nothing is trained to make it smaller: a Wasserstein critic keeps
no Lipschitz constant, a smooth field is not smoothed.

## Bad
```python
def training():
    critic = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(critic.parameters())
    def step(batch):
        real, fake = batch
        mixed = (0.5 * real + 0.5 * fake).requires_grad_()
        slope, = torch.autograd.grad(critic(mixed).sum(), mixed)
        penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 6), torch.randn(8, 6)))
```

## Good
```python
def training():
    critic = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(critic.parameters())
    def step(batch):
        real, fake = batch
        mixed = (0.5 * real + 0.5 * fake).requires_grad_()
        slope, = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 6), torch.randn(8, 6)))
```

## When to allow it
When the term is only to be seen in the total; better then to detach it, which says so.

## Source
Gulrajani et al., "Improved Training of Wasserstein GANs" (2017); the note on `create_graph` of `torch.autograd.grad`.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.derivatives import taken_without_graph, without_graph
from smokestep.evidence.flow import Flow
from smokestep.evidence.summands import terms
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="defect", since="0.1")
def constant_penalty(flow: Flow) -> Iterator[Said]:
    graphs = [graph for graph in flow.graphs if any(without_graph(op) for op in graph.ops)]
    if not graphs:
        yield NotApplicable("no derivative was taken without a graph")
    told: set[Line | None] = set()
    for graph in graphs:
        for root in sorted(graph.roots):
            for value, _ in terms(graph, root):
                taken = taken_without_graph(graph, value, root)
                if taken is None or taken.caller in told:
                    continue
                told.add(taken.caller)
                added = graph.maker(value)
                line = added.caller if added else None
                yield Finding(
                    "a term of the loss is made of the derivatives that `torch.autograd.grad` gives here without "
                    "create_graph=True: it adds a number to the loss, and no gradient",
                    where=Place.of(taken.module or None, taken.caller),
                    cause=taken.caller,
                    hint="give torch.autograd.grad create_graph=True",
                    related=((line, "the term is made here"),) if line and line != taken.caller else (),
                )
