"""Finds gradients that an update had used already and the next one uses again, because nothing cleared them.

## What it finds
A backward pass that adds to gradients which an earlier update has used, and an update that then uses the sum. Only
what was measured counts: the gradients were there, not zero, when the backward pass began. Accumulating over several
backward passes and then updating once is right, and so is clearing at either end of the loop, or by hand.

## Why it matters
Torch adds every new gradient to the old one. Without clearing, each update follows the sum of all batches so far, as
with a momentum that never fades: the loss often falls at first, and then oscillates or diverges.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        inputs, targets = batch
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When gradients are meant to be carried from one update into the next.

## Source
The missing `zero_grad` is the classic of its kind: Stack Overflow 60335387; TrainCheck (OSDI 2025).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.fate import abridged
from smokestep.evidence.gradients import Gradients, Use
from smokestep.evidence.steps import Event, Steps
from smokestep.findings import Finding, Line, NotApplicable, Open, Place, Severity


@check(severity="defect", since="0.1")
def stale_gradients(steps: Steps, gradients: Gradients) -> Iterator[Finding | Open | NotApplicable]:
    if steps.own_loop:
        yield NotApplicable("the loop was smokestep's own")
        return
    updates = [*gradients.uses, *gradients.manual]
    carried = {(move.parameter, move.step): move.carried for move in steps.movements if move.carried}
    found: dict[tuple[str, Line | None], tuple[Use, Event, dict[str, float]]] = {}
    for use in updates:
        for name, (backward, before) in use.stale.items():
            left = max(carried.get((name, step)) or 0.0 for step in range(before.step, use.event.step + 1))
            if left:
                names = found.setdefault((use.event.subject, backward.line), (use, backward, {}))[2]
                names[name] = max(left, names.get(name, 0.0))
    for use, backward, names in found.values():
        leftover = max(names.values())
        by_hand = use.event.kind == "manual"
        yield Finding(
            f"{abridged(tuple(names))}: the gradients that an earlier update had used were used again, nothing cleared "
            f"them in between (up to {leftover:.2g} was left when this backward pass began)",
            where=Place.of(abridged(tuple(names)), use.event.line),
            cause=backward.line,
            hint=f"clear the gradients once an update, before this line: {use.event.subject or 'model'}.zero_grad()",
            severity=Severity.SUSPICION if by_hand else None,
            subjects=tuple(names),
            related=((use.event.line, "the update that uses the sum"),) if use.event.line else (),
            data={"leftover": leftover, "updates": len(updates)},
        )
    if len(updates) == 1 and not found:
        yield Open("one update was recorded: whether its gradients are cleared afterwards shows at the second")
