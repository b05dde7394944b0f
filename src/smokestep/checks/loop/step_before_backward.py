"""Finds an update that comes before the backward pass whose gradients it should use.

## What it finds
`optimizer.step()` between the forward and the backward pass: cleared gradients leave it nothing to use in any step; it
uses those of the step before (a suspicion); or it changes the weights that the backward pass still needs, and torch
raises "modified by an inplace operation".

## Why it matters
Where the gradients are cleared at the top of the loop, nothing ever trains, and nothing says so.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.step()
        loss.backward()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When gradients are delayed by a step on purpose (a simulation of asynchronous training).

## Source
PyTorch, "Autograd mechanics": in-place operations and the version counter.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.gradients import Gradients, Use
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(
    severity="defect",
    since="0.1",
    explains=("nothing-trains", "zero-gradient", "lost-update", "cleared-gradients", "stale-gradients"),
    partial=True,
)
def step_before_backward(steps: Steps, gradients: Gradients) -> Iterator[Finding | NotApplicable]:
    if steps.own_loop:
        yield NotApplicable("the loop was smokestep's own")
        return
    for optimizer in steps.optimizers:
        uses = [use for use in gradients.of(optimizer.name) if not use.event.detail.get("closure")]
        if not uses:
            continue
        first, last = uses[0], uses[-1]
        late = next((use.later for use in uses if use.later), None)
        severity = None
        if len(uses) > 1 and late and not any(use.fresh for use in uses) and (not first.wiped or last.forward):
            happened = f"none of its {len(uses)} updates had a gradient: the backward pass comes after each"
        elif _raised(steps, last):
            happened, late = "it changes the weights before the backward pass has used them, which raised", None
        elif steps.kind == "training" and len(uses) > 1 and late and not first.fresh and all(map(_delayed, uses[1:])):
            happened = "every update uses the gradients of the step before: the backward pass comes after it"
            severity = Severity.SUSPICION
        else:
            continue
        backward = late.line if late else steps.error_line
        yield Finding(
            f"{optimizer.name}.step() runs before the backward pass; {happened}",
            where=Place.of(optimizer.name, last.event.line),
            cause=last.event.line,
            hint="move the update behind loss.backward()",
            severity=severity,
            related=((backward, "the backward pass"),) if backward else (),
            data={"updates": len(uses)},
        )


def _delayed(use: Use) -> bool:
    steps = {backward.step for backwards in use.fresh.values() for backward in backwards}
    return bool(steps) and max(steps) < use.event.step and use.forward


def _raised(steps: Steps, last: Use) -> bool:
    """The step raised because weights changed between a forward pass and its backward pass, after this update."""
    raised = {event.step for event in steps.of("error")}
    if "modified by an inplace operation" not in (steps.error or "") or last.event.step not in raised:
        return False
    ending = [event for event in steps.events if event.step == last.event.step]
    since = max((event.index for event in ending if event.kind == "forward"), default=None)
    return (
        since is not None
        and since < last.event.index
        and not any(event.kind == "backward" and since < event.index < last.event.index for event in ending)
    )
