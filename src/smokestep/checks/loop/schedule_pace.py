"""Finds a learning-rate schedule meant for epochs that is stepped with every batch, and is over long before one ends.

## What it finds
`ExponentialLR`, `StepLR` or `MultiStepLR`, stepped after each update, that brings the rate down to a thousandth within
the first quarter of one pass over the data loader in use. Schedules with a length of their own (`CosineAnnealingLR`,
`OneCycleLR`, warm-ups) are left alone: a run of few updates may want them that short.

## Why it matters
`ExponentialLR(gamma=0.95)` is meant for epochs. Stepped with batches it leaves a thousandth of the rate after 135 of
them: the loss falls for a minute, then stands still for the rest of the run, as if the model were at its best.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.1)
    data = torch.utils.data.TensorDataset(torch.randn(2000, 3), torch.randint(0, 2, (2000,)))
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        scheduler.step()

    return smokestep.Training(step, next(iter(loader)))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = torch.utils.data.TensorDataset(torch.randn(2000, 3), torch.randint(0, 2, (2000,)))
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10 * len(loader), gamma=0.1)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        scheduler.step()

    return smokestep.Training(step, next(iter(loader)))
```

## When to allow it
When so few batches are trained on that the rate never gets there.

## Source
PyTorch, `torch.optim`: "How to adjust learning rate" steps these schedulers once an epoch. The thousandth and the
quarter are this check's own: whoever decays within one epoch still wants a rate for most of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from smokestep.check import check
from smokestep.evidence.feeds import Feeds
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


# `share`: of one pass over the data, within which the rate is gone.
@check(severity="suspicion", since="0.1")
def schedule_pace(steps: Steps, feeds: Feeds, *, share: float = 0.25) -> Iterator[Finding | NotApplicable]:
    feed, calls = feeds.training(steps), [event for event in steps.of("scheduler") if not event.detail.get("explicit")]
    if steps.own_loop or not calls or feed is None or feed.batches is None:
        yield NotApplicable("no scheduler was stepped" if not calls else "how long an epoch is, is not known")
        return
    for optimizer in steps.optimizers:
        own = [event for event in calls if event.subject == optimizer.name]
        updates = [event.index for event in steps.of("update") if event.subject == optimizer.name]
        between = [sum(a < event.index < b for event in own) for a, b in pairwise(updates)]
        backwards = [sum(a < event.index < b for event in steps.of("backward")) for a, b in pairwise(updates)]
        if len(between) < 2 or set(between) != {1} or len({event.detail.get("spent") for event in own}) != 1:
            continue
        spent, epoch = own[0].detail.get("spent"), feed.batches / max(1, *backwards)
        if isinstance(spent, int) and spent <= share * epoch:
            yield Finding(
                f"{own[0].detail.get('kind')} is stepped with every update of {optimizer.name}: the rate is a "
                f"thousandth after {spent} of the {epoch:.0f} updates of one epoch",
                where=Place.of(optimizer.name, own[0].line),
                cause=own[0].line,
                hint="step the scheduler once an epoch, or give it numbers of updates (epochs * len(loader))",
                related=((feed.line, f"{feed.batches} batches"),) if feed.line else (),
                data={"spent": spent, "batches": feed.batches},
            )
