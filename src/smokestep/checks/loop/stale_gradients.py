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
    found: dict[tuple[str, Line | None], tuple[Use, Event, Event, list[str]]] = {}
    for use in updates:
        for name, (backward, before) in use.stale.items():
            if any((name, step) in carried for step in range(before.step, use.event.step + 1)):
                key = (use.event.subject, backward.line)
                names = found.setdefault(key, (use, backward, before, []))[3]
                names.extend([name] if name not in names else [])
    for use, backward, _, names in found.values():
        leftover = max(carried.get((name, backward.step), 0.0) or 0.0 for name in names)
        by_hand = use.event.kind == "manual"
        yield Finding(
            f"{abridged(names)}: the gradients that an earlier update had used were used again, nothing cleared them "
            f"in between (up to {leftover:.2g} was left when this backward pass began)",
            where=Place.of(abridged(names), use.event.line),
            cause=backward.line,
            hint=f"clear the gradients once an update, before this line: {use.event.subject or 'model'}.zero_grad()",
            severity=Severity.SUSPICION if by_hand else None,
            subjects=tuple(names),
            related=((use.event.line, "the update that uses the sum"),) if use.event.line else (),
            data={"leftover": leftover, "updates": len(updates)},
        )
    if len(updates) == 1 and not found:
        yield Open("one update was recorded: whether its gradients are cleared afterwards shows at the second")
