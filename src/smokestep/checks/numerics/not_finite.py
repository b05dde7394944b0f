"""Finds the first operation that made NaN or Inf, forward or backward, and reached the loss or a gradient.

## What it finds
The operation whose result is not finite although what it was given is, or whose gradient is not finite although the one
that came back to it is (a root at 0, a logarithm behind a mask). If the batch or a parameter was not finite to begin
with, that is said. Infinities that do no harm (attention masks, overflows that a gradient scaler skips) are not told.

## Why it matters
One NaN in the loss makes every parameter NaN at the next update, and the run is lost. The line where it becomes visible
is rarely the line that made it.

## Bad
```python
def training():
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        p = torch.relu(model(x))
        loss = (y * torch.log(p)).sum(dim=1).mean().neg()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), F.one_hot(torch.arange(8) % 3).float()))
```

## Good
```python
def training():
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        p = torch.log_softmax(model(x), dim=1)
        loss = (y * p).sum(dim=1).mean().neg()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), F.one_hot(torch.arange(8) % 3).float()))
```

## When to allow it
Steps with such a loss are recognised and skipped by your own loop.

## Source
`torch.autograd.detect_anomaly` tells the backward half, at the price of a slow run that stops there.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.numbers import Numbers
from smokestep.findings import Finding, Place

CONSEQUENCES = (
    "constant-loss constant-output ignored-input lost-update nothing-trains single-sample-normalization skipped-steps "
    "zero-gradient"
)


@check(severity="defect", since="0.1", explains=tuple(CONSEQUENCES.split()), partial=True)
def not_finite(numbers: Numbers) -> Iterator[Said]:
    first = next((each for each in numbers.not_finite if each.harmful), None)  # all later ones follow from it
    if first is None:
        return
    made = {"nan": "NaN", "inf": "Inf"}[first.kind]
    why = f": {first.detail}" if first.detail else ""
    if first.inputs:
        message = f"{first.inputs} held NaN or Inf when step {first.step + 1} began"
        hint = "clean the data, or find what wrote it"
    elif first.op == "step":
        message = f"the optimizer made NaN or Inf in step {first.step + 1}{why}"
        hint = "look for a division by 0 in the update: an eps of 0, a gradient that is 0 throughout"
    elif first.direction == "forward":
        message = f"`{first.op or 'the loss'}` made {made} in step {first.step + 1}{why}"
        hint = "keep its argument away from the edge (clamp, add a small number), or use a fused, stable function"
    else:
        message = f"the gradient of `{first.op or 'an operation'}` became {made} in step {first.step + 1}{why}"
        hint = "add a small number inside, or mask before the operation and not after it"
    yield Finding(
        message=message,
        where=Place.of(first.module or None, first.line),
        cause=first.line,
        hint=hint,
        data={"step": first.step, "direction": first.direction, "op": first.op},
    )
