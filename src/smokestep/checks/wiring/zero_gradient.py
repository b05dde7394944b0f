"""Finds parameters whose gradient is exactly zero in every step, for a reason that can be named.

## What it finds
Gradient arrives and is zero in every entry, in every recorded step, because on the way back it is multiplied by
exactly 0 (a mask of the wrong sense, a weight of 0), or meets a ReLU that is off for every unit and sample, a clamp
outside its range, a softmax over one entry, a saturated sigmoid.

## Why it matters
Such parameters never move, and unlike a missing gradient this shows nowhere: `grad` is there, and full of zeros.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        h = model[0](x)
        skip = x.mean(dim=1, keepdim=True)
        loss = F.mse_loss(model[1](h * 0.0) + skip, y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)), model=model)
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        h = model[0](x)
        skip = x.mean(dim=1, keepdim=True)
        loss = F.mse_loss(model[1](h * 0.5) + skip, y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)), model=model)
```

## When to allow it
A loss term that is switched off by a weight of 0 for the first epochs; a hinge that is satisfied already.

## Source
TheDeepChecker (Ben Braiek and Khomh, 2023) and Amazon SageMaker Debugger for dead units, there as thresholds; here
only an exact zero counts. A gate that is initialised to zero and trains is not told: gradient comes through after
its first update.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fates import Fates
from smokestep.findings import NotApplicable, Open


@check(severity="suspicion", since="0.1", explains=("nothing-trains", "constant-output"))
def zero_gradient(fates: Fates) -> Iterator[Said]:
    """Tells every line at which gradient becomes zero for good."""
    if not fates.fates:
        yield NotApplicable("no trainable parameter was found")
    for cluster in fates.clusters("zero"):
        if cluster.first.reason:
            yield cluster.told(
                f"{cluster.title} got a gradient of exactly 0 in {fates.steps} steps: "
                f"at {cluster.code} {cluster.first.reason}"
            )
        else:
            yield Open(f"{cluster.title} got a gradient of exactly 0 in {fates.steps} steps, for no known reason")
    for cluster in fates.clusters("waiting"):
        yield Open(f"{cluster.title} got a gradient of exactly 0 in {fates.steps} steps: {cluster.first.reason}")
