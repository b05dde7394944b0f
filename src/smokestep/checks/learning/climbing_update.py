"""Finds an update that goes uphill: a small part of it already raises the loss that it was made for.

## What it finds
The loss of the batch before the first update, and after a tenth and a hundredth of that update, under the same random
draws. It rises with both, in proportion, so the step is not too long: its direction is wrong. For losses that are
recognised, stand alone, and whose gradient nothing replaces.

## Why it matters
A sign lost in an update written by hand, or a loss that is negated on its way, makes the network unlearn. Where
clipping or a small rate keeps the numbers finite, the run merely ends with a poor score.

## Bad
```python
def training():
    model = nn.Linear(4, 3)
    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p += 0.1 * p.grad
        model.zero_grad()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## Good
```python
def training():
    model = nn.Linear(4, 3)
    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
        model.zero_grad()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## When to allow it
When the weights are meant to climb: an adversary's, or a network that is made to forget.

## Source
The first-order change of a loss along a step: L(w + t d) = L(w) + t g.d + O(t^2), negative for every descent direction.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.descent import Descent
from smokestep.findings import Finding, NotApplicable, Open, Place


@check(severity="suspicion", since="0.1", on_request=True, explains=("diverges", "cannot-overfit"))
def climbing_update(
    descent: Descent,
    *,
    least: float = 1e-5,  # of the loss: some hundred roundings of a float32, below which a change says nothing
    proportion: float = 3.0,  # a tenth of the way changes the loss ten times as much as a hundredth, within this factor
) -> Iterator[Said]:
    if descent.why:
        yield NotApplicable(descent.why)
        return
    before, far, near = descent.losses
    if near - before <= least * abs(before) or far <= before:
        if abs(far - before) <= least * abs(before):
            yield Open("a tenth of the first update changes the loss by no more than rounding")
        return
    if not 10 / proportion <= (far - before) / (near - before) <= 10 * proportion:
        yield Open("the loss does not change in proportion to the update")
        return
    yield Finding(
        message=f"`{descent.loss}` rises from {before:.6g} to {near:.6g} when a hundredth of the first update is "
        f"taken, and to {far:.6g} with a tenth: the update goes uphill",
        where=Place.of(None, descent.line),
        cause=descent.update or descent.line,
        hint="subtract the gradient, do not add it; and look at the sign of the loss",
        related=((descent.line, "its loss"),) if descent.line and descent.update else (),
        data={"losses": descent.losses},
    )
