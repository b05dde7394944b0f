"""Finds gradients that are cleared after the backward pass and before the update that should have used them.

## What it finds
An update whose parameters had received gradient, and had none left, because a `zero_grad()` (of the optimizer or of a
model, or by hand) stands between the backward pass and the update. If the update had other gradients to use, this is a
suspicion: some methods cancel the gradient of one layer on purpose.

## Why it matters
The update finds nothing to do: no parameter moves, or all move by weight decay and old momentum alone.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the gradient of a layer is cancelled on purpose for a while (the last layer of DINO in its first epoch).

## Source
TrainCheck (OSDI 2025), which infers the order of the calls of a training loop.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.fate import abridged
from smokestep.evidence.gradients import Gradients
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, Line, NotApplicable, Place, Severity


@check(severity="defect", since="0.1", explains=("nothing-trains", "zero-gradient", "lost-update"))
def cleared_gradients(steps: Steps, gradients: Gradients) -> Iterator[Finding | NotApplicable]:
    if steps.own_loop:
        yield NotApplicable("the loop was smokestep's own")
        return
    for optimizer in steps.optimizers:
        uses = [use for use in gradients.of(optimizer.name) if not use.event.detail.get("closure")]
        wiped: dict[Line | None, dict[str, None]] = {}
        for use in uses:
            for name, clearing in use.wiped.items():
                if name not in use.fresh and not use.forward:
                    wiped.setdefault(clearing.line, {})[name] = None
        everything = bool(uses) and all(use.wiped and not use.fresh and not use.forward for use in uses)
        for line, names in wiped.items():
            use = next(use for use in uses if any(event.line == line for event in use.wiped.values()))
            lost = next(event for event in use.wiped.values() if event.line == line)
            yield Finding(
                f"{abridged(tuple(names))} received gradient, and this cleared it before {optimizer.name}.step()"
                + (": no update had any gradient to use" if everything else ""),
                where=Place.of(abridged(tuple(names)), lost.line),
                cause=lost.line,
                hint="clear after the update, or before the backward pass, never between the two",
                severity=None if everything else Severity.SUSPICION,
                subjects=tuple(names),
                related=((use.event.line, "the update that found nothing"),) if use.event.line else (),
                data={"parameters": len(names), "updates": len(uses)},
            )
