"""Finds an optimizer that steps a second time with gradients it has used already.

## What it finds
Two updates by one optimizer with no forward pass, no backward pass and no clearing between them, in every step.

## Why it matters
Each batch moves the weights twice along one gradient, the second time from a place where it was never taken: in effect
the learning rate is doubled, and Adam's moments move twice as fast. It happens where a gradient scaler, a trainer or a
function of one's own steps the optimizer, and the loop steps it again.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cpu")

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(inputs), targets)).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cpu")

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(inputs), targets)).backward()
        scaler.step(optimizer)
        scaler.update()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When gradients are written by hand between the two updates, or the optimizer is one that moves in two halves.

## Source
PyTorch, "Automatic Mixed Precision": `scaler.step(optimizer)` calls `optimizer.step()` itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from smokestep.check import check
from smokestep.evidence.gradients import Gradients, Use
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def repeated_update(steps: Steps, gradients: Gradients) -> Iterator[Finding | NotApplicable]:
    """An update with the gradients of the one before."""
    if steps.own_loop or not gradients.uses:
        yield NotApplicable("the loop was smokestep's own" if steps.own_loop else "no optimizer stepped")
    for optimizer in steps.optimizers:
        uses = gradients.of(optimizer.name)
        pairs = [pair for pair in pairwise(uses) if _repeats(steps, *pair)]
        if not pairs or {first.event.step for first, _ in pairs} != {use.event.step for use in uses}:
            continue
        first, second = (use.event for use in pairs[0])
        yield Finding(
            f"{optimizer.name}.step() runs again with the gradients it has used, in each of {steps.count} steps",
            where=Place.of(optimizer.name, second.line),
            cause=second.line,
            hint="leave out one of the two updates",
            related=((first.line, "the first update"),) if first.line else (),
            subjects=(optimizer.name,),
        )


def _repeats(steps: Steps, first: Use, second: Use) -> bool:
    cleared = any(first.event.index < event.index < second.event.index for event in steps.of("zero_grad"))
    return bool(first.fresh and second.event.parameters) and not (second.fresh or second.forward or cleared)
