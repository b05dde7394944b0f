"""Finds layers whose units begin alike and get the same gradient, so that they compute one and the same thing.

## What it finds
A weight whose units (the rows of a linear layer, the filters of a convolution) began identical, that trains, and whose
units got the same gradient in at least two recorded updates, while later layers read what they compute.

## Why it matters
A layer of 512 such units is a layer of one unit: nothing in the training tells them apart, so no step will. The loss
falls, to what so narrow a network can reach.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    for layer in (model[0], model[2]):
        nn.init.constant_(layer.weight, 0.05)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    for layer in (model[0], model[2]):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## When to allow it
Units that are meant to stay the same, as in a demonstration of what symmetry does.

## Source
Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 8.4: initial parameters need to break symmetry between
units. A layer that begins as zero before others that do not (a head, a gate, the second factor of a low-rank adapter)
gets a gradient of its own for every unit, and is not told.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.beginnings import Beginnings
from smokestep.evidence.fate import abridged
from smokestep.evidence.flow import Flow
from smokestep.evidence.units import Layer, hidden_layers
from smokestep.findings import Finding, Line, NotApplicable, Place


# `tolerance`: sums over a batch taken in another order differ by a few units in the last place of float32, 1.2e-7 each.
@check(severity="defect", since="0.1", explains=("constant-output", "zero-gradient"))
def symmetric_units(beginnings: Beginnings, flow: Flow, *, tolerance: float = 1e-5) -> Iterator[Said]:
    if not beginnings.alike:
        yield NotApplicable("no weight began with identical rows or columns")
        return
    layers = hidden_layers(flow)
    told: dict[Line | None, list[tuple[str, Layer]]] = {}
    for weight in beginnings.alike:
        layer = layers.get(weight.parameter)
        if layer is None or layer.unit not in weight.dims:
            continue
        apart = weight.apart(layer.unit)
        if len(apart) > 1 and max(apart) <= tolerance:
            told.setdefault(weight.line or layer.line, []).append((weight.parameter, layer))
    for line, some in told.items():
        names = tuple(name for name, _ in some)
        counts = ", ".join(str(layer.units) for _, layer in some[:4])
        yield Finding(
            f"all units ({counts}) of {abridged(names)} began the same and got the same gradient at every update, so "
            f"they stay the same: {'the layer is' if len(some) == 1 else 'each of the layers is'} as good as one unit",
            where=Place.of(abridged(names), line),
            cause=line,
            hint="initialise the weight with random numbers, such as nn.init.xavier_uniform_; a bias may begin as zero",
            subjects=names,
            data={"units": max(layer.units for _, layer in some)},
        )
