"""Finds a loss that grows without end when the step is repeated on one small batch.

## What it finds
The step, repeated on at most 8 samples of its own batch, ends with a loss above four times its first value that is
still growing, or with one that is not finite.

## Why it matters
On a fixed batch a gradient step of a sensible length lowers the loss. One that raises it again and again is too long,
goes the wrong way, or adds up gradients that should have been cleared.

## Bad
```python
def training():
    model = nn.Linear(16, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.9)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y, reduction="sum")
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 16), torch.randn(8, 2)))
```

## Good
```python
def training():
    model = nn.Linear(16, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y, reduction="sum")
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 16), torch.randn(8, 2)))
```

## When to allow it
The learning rate is meant for another phase: a schedule that the repeated step does not run through.

## Source
Smith, "Cyclical Learning Rates for Training Neural Networks" (2017): the range test ends where the loss shoots up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.learning import Learning
from smokestep.findings import Finding, NotApplicable, Place


# `times`: the limit at which fast.ai's range test (`Learner.lr_find`) stops.
@check(severity="suspicion", since="0.1", on_request=True)
def diverges(learning: Learning, *, times: float = 4.0) -> Iterator[Said]:
    course, first, last = learning.course, learning.course.first, learning.course.last
    if learning.why or course.error:
        yield NotApplicable(learning.why or f"the repeated step raised {course.error}")
        return
    lost = not math.isfinite(course.losses[-1])
    if not lost and (last <= times * max(first, 1e-3) or course.falling(0.0)):
        return
    what = "one small batch" if learning.samples else "its batch"
    end = "is no finite number any more" if lost else f"is {last:.4g} and still grows"
    yield Finding(
        message=f"the step repeated on {what} makes the loss grow: it was {first:.4g}, and after "
        f"{len(course.losses)} steps it {end}",
        where=Place.of(None, learning.line),
        cause=learning.line,
        hint="take a tenth of the learning rate; look at a loss that is summed and not averaged, at gradients that are "
        "not cleared, and at the sign of the loss",
        data={"first": first, "last": last, "steps": len(course.losses)},
    )
