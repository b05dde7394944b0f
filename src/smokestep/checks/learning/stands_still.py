"""Finds weights that are all updated, and by so little that they stand still.

## What it finds
In every recorded step no weight moves by more than a millionth of its largest entry, although the optimizer steps and
gradients arrive, and no scheduler or hand raises the learning rate. A weight that began at 0, as many a bias does, is
measured against the largest entry of all.

## Why it matters
At a thousandth of a weight a step, which is usual, a thousand steps change a network; at a millionth it takes a
million. A learning rate with a zero too many, a loss divided twice, or gradients clipped to almost nothing look like
this.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-5)
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2)))
```

## When to allow it
The weights are meant to creep: the last polish of a trained model, or a phase whose learning rate comes later.

## Source
Karpathy, CS231n notes, "Ratio of weights:updates": it "should be somewhere around 1e-3".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from smokestep.check import Said, check
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


# `share`: a thousandth of the rule of thumb under Source.
@check(severity="suspicion", since="0.1", on_request=True)
def stands_still(steps: Steps, *, share: float = 1e-6) -> Iterator[Said]:
    largest = max((move.scale for move in steps.movements), default=0.0)
    zero = {move.parameter for move in steps.movements if not move.scale}
    sized = [replace(each, scale=largest) if each.parameter in zero else each for each in steps.movements]
    moves = [move for move in sized if move.rate is not None and move.scale > 0]
    groups = [group.rates for optimizer in steps.optimizers for group in optimizer.groups if group.rates]
    if not moves or not any(move.update for move in moves):
        yield NotApplicable("no optimizer moved a weight")
    elif steps.of("scheduler") or any(rates[-1] > rates[0] or not any(rates) for rates in groups):
        yield NotApplicable("the learning rate is still changing")
    elif not any(move.gradient for move in moves):
        yield NotApplicable("no gradient arrived")
    else:
        most = max(moves, key=lambda move: move.update / move.scale)
        line = next((event.line for event in steps.of("update") if event.step == most.step), None)
        if most.update < share * most.scale:
            yield Finding(
                message=f"in {steps.count} steps no weight moved by more than {most.update / most.scale:.1e} of its "
                f"size in a step ({most.parameter}); about 1e-03 is usual",
                where=Place.of(None, line),
                cause=line,
                hint=f"look at the learning rate ({most.rate:g}), at clipping, and at whatever divides the loss",
                data={"share": most.update / most.scale, "parameter": most.parameter, "rate": most.rate},
            )
