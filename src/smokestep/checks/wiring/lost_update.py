"""Finds parameters whose updates are all lost to rounding.

## What it finds
Parameters that an optimizer holds, that have gradient at every update, and that are bit for bit the same after all
recorded steps, because each update is smaller than the distance between neighbouring numbers of their size and type.

## Why it matters
Weights kept in bfloat16 have 8 significant bits: a weight of 1.0 cannot move by 0.001. The loop looks healthy, the
gradients are healthy, and the parameter never moves.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)).bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 8).bfloat16(), torch.randn(8, 2).bfloat16()))
```

## Good
```python
def training():
    model = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(x)
        loss = F.mse_loss(output.float(), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 8), torch.randn(8, 2)))
```

## When to allow it
An optimizer that keeps a compensation for rounding of its own, such as Kahan summation.

## Source
The spacing of floating-point numbers: IEEE 754, and bfloat16 with 7 explicit bits of fraction. Micikevicius et al.,
"Mixed Precision Training" (2018), section 3.1: why a copy of the weights is kept in single precision.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fates import Fates
from smokestep.findings import NotApplicable, Open


@check(severity="defect", since="0.1", explains=("nothing-trains",))
def lost_update(fates: Fates) -> Iterator[Said]:
    """Tells every group of parameters that has gradient, is updated, and stands still."""
    if not fates.fates:
        yield NotApplicable("no trainable parameter was found")
    for cluster in fates.clusters("lost"):
        yield cluster.told(
            f"{cluster.title} did not move in {fates.steps} steps: {cluster.first.reason}",
            "raise the learning rate"
            if cluster.first.op in ("float32", "float64")
            else "keep the weights in float32 and compute in lower precision (autocast), or raise the learning rate",
        )
    for cluster in fates.clusters("unexplained"):
        if cluster.first.op == "update":
            yield Open(f"{cluster.title} {cluster.first.reason}")
