"""Finds a learning-rate scheduler that is stepped before the optimizer, and so skips the first rate of its schedule.

## What it finds
A scheduler's `step()` that comes before the optimizer's first update and again before the second, from the same line:
the optimizer never uses the first value of the schedule. One early call alone is a suspicion, since a resumed run winds
its schedule forward so. Plateau schedulers, and calls that name the epoch, set a rate and skip nothing. With a gradient
scaler, whose first updates may be skipped, nothing is said.

## Why it matters
Every rate comes one call early, and the first never comes; with a scheduler stepped once an epoch that is an epoch.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        scheduler.step()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        scheduler.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the first rate (zero, in many warm-ups) is skipped on purpose.

## Source
PyTorch since 1.1: "calling lr_scheduler.step() before optimizer.step() will skip the first value".
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.steps import Event, Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def early_scheduler(steps: Steps) -> Iterator[Finding | NotApplicable]:
    calls = [event for event in steps.of("scheduler") if not _sets(event)]
    if steps.own_loop or not calls:
        yield NotApplicable("the loop was smokestep's own" if steps.own_loop else "no scheduler was stepped")
        return
    first = next((event.index for event in steps.of("update")), 0)  # of any: one may step less often than another
    scaled = bool(steps.of("unscale")) or any(event.detail.get("skipped") for event in steps.of("update"))
    for optimizer in steps.optimizers:
        updates = [event for event in steps.of("update") if event.subject == optimizer.name]
        own = [event for event in calls if event.subject == optimizer.name]
        if scaled or not updates or not own or own[0].index > first:
            continue
        line = own[0].line
        between = [
            updates[0].index < event.index < updates[1].index for event in own if event.line == line and updates[1:]
        ]
        before = [event for event in own if event.index < updates[0].index]
        certain = len(before) == 1 and own[0].step == updates[0].step and any(between)
        yield Finding(
            f"the scheduler was stepped before the first update of {optimizer.name}: "
            "the first rate of the schedule was never used",
            where=Place.of(optimizer.name, line),
            cause=line,
            hint="call scheduler.step() after optimizer.step()",
            severity=None if certain else Severity.SUSPICION,
            related=((updates[0].line, "the first update"),) if updates[0].line else (),
            data={"before": len(before), "updates": len(updates)},
        )


def _sets(event: Event) -> bool:
    return bool(event.detail.get("explicit")) or event.detail.get("kind") == "ReduceLROnPlateau"
