"""Finds deep networks in which what the layers give grows from layer to layer, to thousands of times its first size.

## What it finds
A chain of at least five layers of which the last gives entries more than a thousand times as large as the first, in
the first recorded step, where the growth is spread over the layers and not made at one place.

## Why it matters
The weights are drawn too wide for the width of the layers. The gradient of every layer is as large as that, so that
only a learning rate near zero keeps the loss a number; with one, nothing is learned.

## Bad
```python
def training():
    layers = []
    for _ in range(6):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 1))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.l1_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(16, 64), torch.randn(16, 1)))
```

## Good
```python
def training():
    layers = []
    for _ in range(6):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 1))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.l1_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(16, 64), torch.randn(16, 1)))
```

## When to allow it
Targets that are as large, where the output is meant to reach them.

## Source
He et al., "Delving Deep into Rectifiers" (2015), section 2.2: the product of the layers' factors, and the draw that
keeps it at 1. Of the healthy trainings that smokestep is tested with, none grew more than thirteenfold.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.depth import Course, Depth
from smokestep.findings import Finding, NotApplicable, Place


# `times`, `layers`: see the page. `spread`: of the whole growth, counted in powers, the share that one layer may take.
@check(severity="suspicion", since="0.1", explains=("high-initial-loss",))
def exploding_activations(depth: Depth, *, times: float = 1e3, layers: int = 5, spread: float = 0.6) -> Iterator[Said]:
    chain = next((chain for chain in depth.chains if len(chain.layers) >= layers), None)
    if chain is None:
        yield NotApplicable(f"no plain chain of {layers} layers got gradient")
        return
    course = Course.along(chain.peaks)
    if course.factor < times or course.share > spread:
        return
    names, line = [layer.weight for layer in chain.layers], chain.layers[course.at + 1].line
    yield Finding(
        f"what the layers give grows from {chain.peaks[0]:.2g} after {names[0]} to {chain.peaks[-1]:.2g} after "
        f"{names[-1]}, through {len(names)} layers; most at {names[course.at + 1]}",
        where=Place.of(names[-1], line),
        cause=line,
        hint="draw the weights with a standard deviation of about the root of 2 over the number of inputs "
        "(nn.init.kaiming_normal_), or normalise between the layers",
        subjects=tuple(names),
        data={"times": course.factor, "layers": len(names)},
    )
