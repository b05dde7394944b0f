"""Finds batch normalizations whose momentum is that of a framework that counts it the other way round.

## What it finds
A normalization with running statistics whose `momentum` is from 0.9 to below 1, that runs in training mode.

## Why it matters
PyTorch's `momentum` is the weight of the new batch: 0.1 keeps nine tenths of the past. TensorFlow and Keras call the
weight of the past by that name: 0.99 there is 0.01 here. With 0.99 in PyTorch the running statistics are those of the
last batch, and evaluation depends on which batch happened to be last.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16, momentum=0.99), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16, momentum=0.01), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## When to allow it
Statistics that are meant to follow the last batch; a momentum of exactly 1, which says so, is not told.

## Source
The documentation of `torch.nn.BatchNorm2d`: "This momentum argument is different from one used in optimizer classes
and the conventional notion of momentum." That of Keras' `BatchNormalization`: `momentum=0.99`, of the past.
As it happened: kazuto1011/deeplab-pytorch, issue 79; r9y9/tacotron_pytorch, issue 19; ludwig-ai/ludwig, pull 2100.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fate import abridged
from smokestep.evidence.modes import Layer, Modes
from smokestep.findings import Finding, Line, NotApplicable, Place


# `least`: the smallest that Keras code commonly has; PyTorch code has 0.1 by default, 0.01 to 0.3 where it is chosen.
@check(severity="suspicion", since="0.1")
def reversed_momentum(modes: Modes, *, least: float = 0.9) -> Iterator[Said]:
    layers = [layer for layer in modes.layers if layer.statistics and layer.momentum is not None]
    if not layers:
        yield NotApplicable("no normalization with running statistics was found")
    found: defaultdict[tuple[Line | None, float], list[Layer]] = defaultdict(list)
    for layer in layers:
        momentum = layer.momentum or 0.0
        if least <= momentum < 1 and any(run.training for run in modes.trained(layer.path)):
            found[layer.built, momentum].append(layer)
    for (line, momentum), some in found.items():
        names = tuple(layer.path for layer in some)
        ran = next((run.line for run in modes.of(names[0]) if run.line), None)
        yield Finding(
            f"{abridged(names)}: momentum {momentum:g} is the weight of the new batch, so {momentum:.1%} of the "
            "running statistics come from the last batch",
            where=Place.of(abridged(names), line or ran),
            cause=line or ran,
            hint=f"where {momentum:g} was taken over from Keras or TensorFlow, write momentum={1 - momentum:.2g}",
            subjects=names,
            data={"momentum": momentum},
        )
