"""Finds a gradient penalty whose norm is not taken for each sample.

## What it finds
The norm of a derivative with respect to a batch of inputs that is compared with a number, `(norm - 1) ** 2`, and that
runs over the batch, or over another dimension than all but the batch: there is neither one norm for each sample nor one
for each output that was differentiated.

## Why it matters
The penalty is to keep the slope at every sample near 1. A norm over the batch grows with its size, and one over the
channels of an image alone holds every pixel to slope 1; either way the constraint is another one, and the loss looks
the same.

## Bad
```python
def training():
    critic = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(72, 1))
    optimizer = torch.optim.Adam(critic.parameters())
    def step(batch):
        real, fake = batch
        mixed = (0.5 * real + 0.5 * fake).requires_grad_()
        slope, = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(6, 3, 8, 8), torch.randn(6, 3, 8, 8)))
```

## Good
```python
def training():
    critic = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(72, 1))
    optimizer = torch.optim.Adam(critic.parameters())
    def step(batch):
        real, fake = batch
        mixed = (0.5 * real + 0.5 * fake).requires_grad_()
        slope, = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        penalty = ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(6, 3, 8, 8), torch.randn(6, 3, 8, 8)))
```

## When to allow it
When the inputs are one sample, all of them together.

## Source
Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), algorithm 1: the norm belongs to one sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.derivatives import norms
from smokestep.evidence.flow import Flow
from smokestep.evidence.origins import bare
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def pooled_penalty(flow: Flow) -> Iterator[Said]:
    found = [(graph, norm, grad) for graph in flow.graphs for norm, grad in norms(graph)]
    if not found:
        yield NotApplicable("no norm of a derivative is held to a number")
    told: set[Line | None] = set()
    for graph, norm, grad in found:
        given, made = graph.values[grad.reads[1]].shape, graph.values[norm.makes[0]].shape
        outputs = graph.maker(grad.reads[0])
        summed = outputs is not None and bare(outputs.name) in ("sum", "mean") and outputs.reads
        scores = graph.values[outputs.reads[0] if summed and outputs else grad.reads[0]].shape
        each = math.prod(made) == given[0] == made[0] if made else False
        if each or given[0] < 2 or math.prod(made) == math.prod(scores) > 1 or norm.caller in told:
            continue
        told.add(norm.caller)
        yield Finding(
            f"the norm of a derivative of shape {list(given)} has shape {list(made)}: it is not one for each of the "
            f"{given[0]} samples, which the penalty is to hold near a number",
            where=Place.of(norm.module or None, norm.caller),
            cause=norm.caller,
            hint="flatten all but the batch first: gradient.flatten(1).norm(2, dim=1)",
            data={"inputs": list(given), "norm": list(made)},
        )
