"""Finds a reshape that gives dimensions another order without moving their entries: `view` where `permute` is meant.

## What it finds
A `view` or `reshape` after which the same dimensions stand in another order, `[N, H, W, C]` as `[N, C, H, W]`, or are
merged in another one, `[N, heads, time, d]` as `[N, time, heads * d]`. The entries stay where they were, so that each
new row is made of parts of several old ones. Where samples of the batch are torn, `batch-leak` tells it.

## Why it matters
The shapes are right and the loss falls, for the network learns from the scrambled entries what it can. Colours are
mixed with rows, heads with time steps, and the score is a poor one.

## Bad
```python
def training():
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        images, labels = batch  # height, width, channels
        optimizer.zero_grad()
        images = images.view(8, 3, 10, 10)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 10, 10, 3), torch.arange(8) % 4))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        images, labels = batch  # height, width, channels
        optimizer.zero_grad()
        images = images.permute(0, 3, 1, 2)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 10, 10, 3), torch.arange(8) % 4))
```

## When to allow it
The sizes agree by chance: four steps of two features that are meant to become two steps of four.

## Source
A. Karpathy, *A recipe for training neural networks* (2019), warns of `view` in place of `transpose` or `permute`; a
kind of "wrong shape of input data" in N. Humbatova et al., *Taxonomy of real faults in deep learning systems* (ICSE
2020).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.rearranged import rearranged
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1", explains=("batch-size",))
def view_for_transpose(flow: Flow) -> Iterator[Said]:
    if not any(graph.backwards for graph in flow.graphs):
        yield NotApplicable("no backward pass was seen")
        return
    told: set[object] = set()
    for op, before, after in rearranged(flow.graphs[0]):
        if op.caller in told or (op.line is not None and op.line.installed):
            continue
        told.add(op.caller)
        yield Finding(
            message=f"`{op.name}` makes {list(after)} of {list(before)}: the dimensions change places, their entries "
            "do not, so that each new row is made of parts of several",
            where=Place.of(op.module or None, op.line),
            cause=op.caller or op.line,
            hint="move dimensions with transpose or permute, before the view if some are merged",
            data={"before": list(before), "after": list(after)},
        )
