"""Finds an optimizer whose learning rate is zero at every update.

## What it finds
Two or more updates, every parameter group at rate 0 in each, and not one of its parameters moved. A warm-up that starts
at 0 and rises is right, and so is one group held at 0 beside others.

## Why it matters
Gradients flow, losses are logged, `step()` is called, and the weights stay where they are. A schedule whose factor was
computed with whole numbers, or whose warm-up counts epochs where updates were meant, ends here.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: epoch // 100)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        scheduler.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: min(1.0, update / 100))

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
When an optimizer is held still for a first phase longer than the recording.

## Source
Humbatova and others, "Taxonomy of Real Faults in Deep Learning Systems" (ICSE 2020): the wrong learning rate.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Open, Place


@check(severity="defect", since="0.1", explains=("nothing-trains", "lost-update"))
def zero_learning_rate(steps: Steps) -> Iterator[Finding | Open | NotApplicable]:
    if not any(group.rates for optimizer in steps.optimizers for group in optimizer.groups):
        yield NotApplicable("no optimizer was stepped")
        return
    moved = {move.parameter for move in steps.movements if move.update}
    for optimizer in steps.optimizers:
        rates = [rate for group in optimizer.groups for rate in group.rates]
        names = tuple(name for group in optimizer.groups for name in group.parameters)
        if not rates or any(rates) or moved & set(names):
            continue
        updates = max(len(group.rates) for group in optimizer.groups)
        if updates == 1:
            yield Open(f"the rate of {optimizer.name} was 0 at the one update recorded, as in a warm-up from 0")
            continue
        scheduler = next((event.line for event in steps.of("scheduler") if event.subject == optimizer.name), None)
        yield Finding(
            f"the learning rate of {optimizer.name} was 0 at all of its {updates} updates",
            where=Place.of(optimizer.name, optimizer.line),
            cause=scheduler or optimizer.line,
            hint="print the rates of the first updates: a factor that starts at 0 must rise with every update",
            subjects=names,
            related=((optimizer.line, "the optimizer"),) if scheduler and optimizer.line else (),
            data={"updates": updates},
        )
