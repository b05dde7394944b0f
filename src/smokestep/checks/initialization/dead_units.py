"""Finds layers most of whose rectified units are zero for every sample of every step.

## What it finds
A ReLU of a hidden layer of which at least nine units in ten gave exactly 0 for every sample of every recorded step,
while others did not. (If all are zero the gradient is, too: `zero-gradient` tells.)

## Why it matters
Such a unit gets no gradient, so it stays as it is: the layer is a tenth of what it seems. It happens where a bias
begins far below zero, where inputs are large and all of one sign, or after an update that was much too large.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3))
    nn.init.normal_(model[0].bias, mean=-20.0, std=8.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(32, 8), torch.randint(0, 3, (32,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3))
    nn.init.normal_(model[0].bias, mean=0.0, std=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(32, 8), torch.randint(0, 3, (32,))))
```

## When to allow it
Codes that are meant to be sparse over the whole batch; a step that looks at very few samples.

## Source
TheDeepChecker (Ben Braiek and Khomh, 2023) and AutoTrainer (Zhang et al., 2021) tell a layer from 50 and 70 percent on.
In a deep network without normalization all samples come to look alike, and then half of the units of a layer are off
for all of them at its healthy beginning; hence nine in ten.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.numbers import Numbers
from smokestep.evidence.steps import Steps
from smokestep.evidence.units import layer_before
from smokestep.findings import Finding, NotApplicable, Place


# `share`: see the page. `units`, `entries`: with fewer units, or fewer entries a unit, as much is zero by chance.
@check(severity="suspicion", since="0.1", explains=("zero-gradient",))
def dead_units(
    numbers: Numbers, flow: Flow, steps: Steps, *, share: float = 0.9, units: int = 16, entries: int = 16
) -> Iterator[Said]:
    if not any(op.name.startswith("relu") for graph in flow.graphs for op in graph.ops):
        yield NotApplicable("no ReLU was called")
        return
    for site in numbers.activations:
        if not share <= site.dead < 1 or site.units < units or site.entries < entries or site.steps < steps.count:
            continue
        layer = layer_before(flow.graphs[0], site.value)
        if layer is None or layer.units != site.units:
            continue
        yield Finding(
            f"{round(site.dead * site.units)} of {site.units} units of {layer.weight} are zero for every sample in "
            f"{site.steps} steps: they get no gradient",
            where=Place.of(layer.weight, site.line),
            cause=site.line,
            hint="begin its bias near zero, scale its inputs to both signs, or lower the learning rate",
            subjects=(layer.weight,),
            data={"dead": site.dead, "units": site.units},
        )
