"""Finds running statistics that do not move although their layer trains in training mode.

## What it finds
A batch (or instance) normalization that ran in training mode, and whose running mean and variance are bit for bit what
they were: with momentum 0 and never-updated statistics a defect, otherwise a suspicion (code that restores them, or
that turned `track_running_stats` off after the layer was built).

## Why it matters
Training uses each batch's own statistics and looks healthy; evaluation uses the running ones, which are still mean 0
and variance 1. In PyTorch the momentum is the weight of the new batch: the 0.99 of other frameworks is 0.01 here.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.0), nn.ReLU(), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.01), nn.ReLU(), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When evaluation, too, uses the statistics of its batch.

## Source
TheDeepChecker (Ben Braiek and Khomh, 2023), the check of the moving averages of batch normalization.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.fate import abridged
from smokestep.evidence.modes import Layer, Modes
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def frozen_statistics(modes: Modes) -> Iterator[Finding | NotApplicable]:
    # a layer whose own parameters are frozen is meant to stay: Lightning freezes by track_running_stats=False
    layers = [layer for layer in modes.layers if layer.statistics and (layer.trainable or not layer.affine)]
    layers = [layer for layer in layers if layer.kind != "other" or layer.trainable]
    if not layers:
        yield NotApplicable("no normalization with running statistics ran")
        return
    found: dict[tuple[bool, bool], list[Layer]] = {}
    for layer in layers:
        ran = {run.step for run in modes.trained(layer.path) if run.training}
        if len(ran) > 1 and not any(layer.moved[step] for step in ran if step < len(layer.moved)):
            still = layer.momentum == 0 and layer.kind != "other"
            found.setdefault((still, still and layer.seen == 0), []).append(layer)
    for (still, certain), those in found.items():
        line = those[0].built or modes.trained(those[0].path)[-1].line
        yield Finding(
            f"the running statistics are bit for bit the same after {len(those[0].moved)} steps in training mode"
            + (": their momentum is 0" if still else ""),
            where=Place.of(abridged([layer.path for layer in those]), line),
            cause=line,
            hint="give momentum the weight of a new batch (0.1 is the default)"
            if still
            else "look for code that restores the buffers, or that sets track_running_stats to False after building",
            severity=None if certain else Severity.SUSPICION,
            subjects=tuple(layer.path for layer in those),
            data={"layers": len(those), "momentum": those[0].momentum, "seen": those[0].seen},
        )
