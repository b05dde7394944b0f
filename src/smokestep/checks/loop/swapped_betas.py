"""Finds an Adam whose two betas are the wrong way round.

## What it finds
β₁² ≥ √β₂ in an optimizer of the Adam family: the average of the gradients is kept longer than that of their squares,
outside of what Adam's analysis allows. `betas=(0.999, 0.9)` for `(0.9, 0.999)` is the way to get there.

## Why it matters
The direction is an average over a thousand updates, scaled by the size of the last ten gradients: it answers late and
overshoots, and the loss swings. Nothing raises; both numbers are valid.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.999, 0.9))

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.999))

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the pair was searched for and found better.

## Source
Kingma and Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015), theorem 4.1: β₁² / √β₂ < 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from smokestep.check import check
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place

FAMILY = frozenset({"Adam", "AdamW", "NAdam", "RAdam", "SparseAdam"})  # those with Adam's two averages


@check(severity="suspicion", since="0.1")
def swapped_betas(steps: Steps) -> Iterator[Finding | NotApplicable]:
    those = [each for each in steps.optimizers if each.kind in FAMILY and each.updates]
    if not those:
        yield NotApplicable("no optimizer of the Adam family was stepped")
    for optimizer in those:
        pairs = [group.betas for group in optimizer.groups if len(group.betas) == 2]
        wrong = [pair for pair in pairs if pair[0] ** 2 >= sqrt(pair[1]) and pair[0] > pair[1]]
        if wrong:
            first, second = wrong[0]
            yield Finding(
                f"{optimizer.kind} keeps {first:g} of the average of gradients and {second:g} of that of their squares",
                where=Place.of(optimizer.name, optimizer.line),
                cause=optimizer.line,
                hint=f"betas=({second:g}, {first:g}): the first is for the gradients, the second for their squares",
                data={"betas": [first, second]},
            )
