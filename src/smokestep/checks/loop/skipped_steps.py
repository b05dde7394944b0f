"""Finds a gradient scaler that skipped every update, because the gradients were never finite.

## What it finds
An optimizer stepped by a gradient scaler that left out each of its updates, eight or more. It is certain once the scale
has come down to 1 and the gradients are still not finite: then the loss was not even enlarged. The first few updates of
a healthy training may be skipped, until the scale has been halved often enough.

## Why it matters
The scaler is meant to survive an overflow now and then, so it says nothing. A gradient that is NaN every time (the
square root of 0, a division by an empty count) looks like a training that does not learn.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cpu")

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        output = model(inputs)
        near = (output - output.mean()).pow(2).sum().sqrt() + (model.weight - model.weight.clone()).pow(2).sum().sqrt()
        scaler.scale(F.cross_entropy(output, targets) + near).backward()
        scaler.step(optimizer)
        scaler.update()

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
        output = model(inputs)
        near = (output - output.mean()).pow(2).sum().sqrt() + (model.weight - model.weight.clone()).pow(2).sum()
        scaler.scale(F.cross_entropy(output, targets) + near).backward()
        scaler.step(optimizer)
        scaler.update()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the scale begins far too high on purpose, and comes down later than the recording ends.

## Source
PyTorch, `torch.amp.GradScaler`: it begins at 65536 and is halved after each skipped update, so 16 times to reach 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity


# `least`: so many skipped updates in a row; eight halvings bring a scale of 65536 to 256.
@check(severity="defect", since="0.1", explains=("nothing-trains", "lost-update"))
def skipped_steps(steps: Steps, *, least: int = 8) -> Iterator[Finding | NotApplicable]:
    updates = steps.of("update")
    if not any(event.detail.get("skipped") for event in updates):
        yield NotApplicable("no update was skipped by a gradient scaler")
        return
    for optimizer in steps.optimizers:
        own = [event for event in updates if event.subject == optimizer.name]
        if len(own) < least or not all(event.detail.get("skipped") for event in own):
            continue
        scales = [scale for event in own if isinstance(scale := event.detail.get("scale"), (int, float))]
        certain = bool(scales) and scales[-1] <= 1
        told = f", while it lowered its scale from {scales[0]:g} to {scales[-1]:g}" if scales else ""
        yield Finding(
            f"the gradient scaler skipped all {len(own)} updates of {optimizer.name}{told}: "
            "a gradient was NaN or infinite every time",
            where=Place.of(optimizer.name, own[-1].line),
            cause=own[-1].line,
            hint="run a few steps without the scaler, in float32: the first gradient that is not finite is then told",
            severity=None if certain else Severity.SUSPICION,
            data={"updates": len(own), "scale": scales[-1] if scales else None},
        )
