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
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.origins import VIEWS, bare
from smokestep.findings import Finding, Line, NotApplicable, Place

NORMS = frozenset("norm vector_norm linalg_norm linalg_vector_norm".split())
SQUARES = frozenset("pow __pow__ square".split())
DIFFERENCES = frozenset("sub subtract __sub__ __rsub__ rsub".split())


@check(severity="suspicion", since="0.1")
def pooled_penalty(flow: Flow) -> Iterator[Said]:
    found = [(graph, norm, grad) for graph in flow.graphs for norm, grad in _norms(graph)]
    if not found:
        yield NotApplicable("no norm of a derivative is held to a number")
    told: set[Line | None] = set()
    for graph, norm, grad in found:
        given, norms = graph.values[grad.reads[1]].shape, graph.values[norm.makes[0]].shape
        outputs = graph.maker(grad.reads[0])
        summed = outputs is not None and bare(outputs.name) in ("sum", "mean") and outputs.reads
        scores = graph.values[outputs.reads[0] if summed and outputs else grad.reads[0]].shape
        each = math.prod(norms) == given[0] == norms[0] if norms else False
        if each or given[0] < 2 or math.prod(norms) == math.prod(scores) > 1 or norm.caller in told:
            continue
        told.add(norm.caller)
        yield Finding(
            f"the norm of a derivative of shape {list(given)} has shape {list(norms)}: it is not one for each of the "
            f"{given[0]} samples, which the penalty is to hold near a number",
            where=Place.of(norm.module or None, norm.caller),
            cause=norm.caller,
            hint="flatten all but the batch first: gradient.flatten(1).norm(2, dim=1)",
            data={"inputs": list(given), "norm": list(norms)},
        )


def _norms(graph: Graph) -> Iterator[tuple[Op, Op]]:
    """Every norm of a derivative with respect to inputs from which a number is subtracted and the rest squared."""
    readers = graph.readers()
    for op in graph.ops:
        less = [after for made in op.makes for after in readers.get(made, ()) if after.name in DIFFERENCES]
        squared = [far for each in less for made in each.makes for far in readers.get(made, ()) if far.name in SQUARES]
        grad = _derivative(graph, op) if squared and all(len(each.reads) == 1 for each in less) else None
        if grad is not None and len(grad.reads) > 1 and graph.values[grad.reads[1]].kind != "parameter":
            if graph.values[grad.reads[1]].shape:
                yield op, grad


def _derivative(graph: Graph, op: Op) -> Op | None:
    """The call that took the derivative of which this op gives the norm, written out or not."""
    if op.name == "sqrt" or (op.name in SQUARES and 0.5 in op.args.values()):
        total = graph.maker(op.reads[0])
        while total is not None and total.name in ("add", "clamp", "clamp_min") and len(total.reads) == 1:
            total = graph.maker(total.reads[0])
        square = graph.maker(total.reads[0]) if total is not None and total.name == "sum" else None
        if square is None or not (square.name in SQUARES or (square.name == "mul" and len(set(square.reads)) == 1)):
            return None
        op = square
    elif op.name not in NORMS:
        return None
    source = graph.maker(op.reads[0])
    while source is not None and source.name in VIEWS:
        source = graph.maker(source.reads[0])
    return source if source is not None and source.name == "grad" else None
