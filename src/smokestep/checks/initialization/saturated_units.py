"""Finds sigmoids and tanhs almost all of whose entries lie where they are flat.

## What it finds
A `sigmoid` or `tanh` between layers of which at least nine entries in ten lie within 0.01 of its ends, in every
recorded step.

## Why it matters
There its derivative is below 0.02: the layers before it get a fiftieth of the gradient, or much less, and hardly learn.
It happens where inputs come in as 0 to 255 or weights are drawn too wide.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 3))
    nn.init.normal_(model[0].weight, std=20.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(16, 16), torch.randint(0, 3, (16,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 3))
    nn.init.xavier_normal_(model[0].weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(16, 16), torch.randint(0, 3, (16,))))
```

## When to allow it
Gates that are meant to be open or closed; a code that is meant to be binary.

## Source
Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010), section 3;
DeepDiagnosis (Wardat et al., 2022) and TheDeepChecker (Ben Braiek and Khomh, 2023), which tell it from half on.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.numbers import Numbers
from smokestep.evidence.steps import Steps
from smokestep.evidence.units import layer_before, worked_on
from smokestep.findings import Finding, NotApplicable, Place


# `share`: see the page. `units`, `entries`: with fewer, a gate or a mask is as likely as a layer.
@check(severity="suspicion", since="0.1", explains=("zero-gradient",))
def saturated_units(
    numbers: Numbers, flow: Flow, steps: Steps, *, share: float = 0.9, units: int = 8, entries: int = 4
) -> Iterator[Said]:
    if not any(op.name in ("sigmoid", "tanh") for graph in flow.graphs for op in graph.ops):
        yield NotApplicable("no sigmoid or tanh was called")
        return
    for site in numbers.activations:
        if site.saturated < share or site.units < units or site.entries < entries or site.steps < steps.count:
            continue
        layer = layer_before(flow.graphs[0], site.value)
        if layer is None or not worked_on(flow.graphs[0], site.value):
            continue
        yield Finding(
            f"{site.saturated:.0%} of the entries of `{site.op}` after {layer.weight} lie within 0.01 of its ends, in "
            f"each of {site.steps} steps: it is flat there, and hardly passes gradient on",
            where=Place.of(layer.weight, site.line),
            cause=site.line,
            hint="scale the inputs to about -1 to 1, or draw the weights of the layer smaller",
            subjects=(layer.weight,),
            data={"saturated": site.saturated},
        )
