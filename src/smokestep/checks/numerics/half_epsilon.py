"""Finds an adaptive optimizer on float16 parameters whose epsilon is zero in float16, so that it divides by zero.

## What it finds
Adam, AdamW, RMSprop and their kin add epsilon to a root in the parameters' own type, and keep their averages in it. The
smallest number of float16 is 6e-8, so the usual epsilon of 1e-8 becomes 0 there. Certain if an update was not finite;
until then a suspicion. Fused optimizers compute in float32 and are left alone.

## Why it matters
The averaged squares of gradients below about 5e-3 become 0 as well: an entry without gradient is moved by 0 / 0, and
one with a small gradient by infinity.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2).half()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs.half()).float(), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (1e-2 * torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(inputs)
        loss = F.cross_entropy(output.float(), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (1e-2 * torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When every gradient is known to be large.

## Source
IEEE 754: the least subnormal of binary16 is 2⁻²⁴, and what is not above half of it is rounded to 0. PyTorch 2.13,
`torch/optim/adam.py`: `denom = (exp_avg_sq.sqrt() / bias_correction2_sqrt).add_(eps)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.fate import abridged
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity

ZERO = 2**-25  # what is not above it is 0 in float16


@check(severity="defect", since="0.1", explains=("not-finite", "skipped-steps"))
def half_epsilon(steps: Steps) -> Iterator[Finding | NotApplicable]:
    kinds = {each.name: each.dtype for each in steps.parameters}
    updated = {name for event in steps.of("update") for name in event.parameters}
    if "float16" not in {kinds.get(name) for name in updated}:
        yield NotApplicable("no parameter in float16 was updated")
        return
    for optimizer in steps.optimizers:
        for group in optimizer.groups:
            names = tuple(name for name in group.parameters if name in updated and kinds.get(name) == "float16")
            if group.epsilon is None or group.epsilon > ZERO or not names:
                continue
            hurt = [m for m in steps.movements if m.parameter in names and not math.isfinite(m.update)]
            hurt = [m for m in hurt if m.gradient is not None and math.isfinite(m.gradient)]
            yield Finding(
                f"{optimizer.kind} adds epsilon {group.epsilon:g} in float16, where it is 0"
                + (f": the update of {hurt[0].parameter} in step {hurt[0].step + 1} was not finite" if hurt else ""),
                where=Place.of(abridged(list(names)), optimizer.line),
                cause=optimizer.line,
                hint="keep the parameters in float32 and compute under autocast, or give eps=1e-4",
                severity=None if hurt else Severity.SUSPICION,
                subjects=names,
                data={"epsilon": group.epsilon},
            )
