"""Finds a loop that computes gradients and never updates anything with them.

## What it finds
Backward passes reach parameters that an optimizer holds, no optimizer steps, no parameter changes, and the gradients
are cleared again each time: a defect. Without any clearing the loop may be accumulating over more steps than were
recorded, so that is `open`, and a suspicion after many steps. One optimizer of several that never steps while its
gradients are cleared each time is a suspicion: it may step more rarely than was waited for.

## Why it matters
The loss is computed, logged and even moves a little from batch to batch; the network is the one it was at the start.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        return loss

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
        return loss

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the gradients themselves are the product (saliency, federated averaging elsewhere).

## Source
TrainCheck (OSDI 2025), which infers the order of the calls of a training loop. `patience` is the number of backward
passes after which a loop without any update looks wrong; a recording is extended to 16 steps when it saw none.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.steps import Optimizer, Steps
from smokestep.findings import Finding, NotApplicable, Open, Place, Severity


@check(severity="defect", since="0.1", explains=("nothing-trains", "lost-update"))
def no_step(
    steps: Steps,
    *,
    patience: int = 16,  # steps to which a recording without any update is extended: longer accumulation is rare
    often: int = 5,  # critic updates to one of the generator: Arjovsky and others (2017), the usual longest wait
) -> Iterator[Finding | Open | NotApplicable]:
    if steps.own_loop:
        yield NotApplicable("the loop was smokestep's own")
        return
    backwards = steps.of("backward")
    held = {name for each in steps.optimizers for group in each.groups for name in group.parameters}
    waiting = {name for backward in backwards for name in backward.parameters} & held
    if not waiting:
        yield NotApplicable("no optimizer holds a parameter that received gradient")
        return
    updated = {event.subject for event in steps.of("update")}
    served = {name for event in steps.of("update") for name in event.parameters}
    if updated or any(move.update for move in steps.movements):
        for optimizer in steps.optimizers:
            own = {name for group in optimizer.groups for name in group.parameters}
            if updated and optimizer.name not in updated and own & waiting - served:
                yield _left_out(optimizer, own & waiting - served, steps, often)
        return
    first = backwards[0].index
    thrown = [event for event in steps.of("zero_grad") if event.index > first and waiting & set(event.parameters)]
    names = ", ".join(each.name for each in steps.optimizers)
    if not thrown and len(backwards) < patience:
        yield Open(
            f"no update after {len(backwards)} backward passes; the loop may be accumulating gradients over more"
        )
        return
    yield Finding(
        f"{len(backwards)} backward passes gave {len(waiting)} parameters gradient, and no optimizer stepped"
        + (": the gradients are cleared unused" if thrown else ""),
        where=Place.of(names, backwards[-1].line),
        cause=backwards[-1].line,
        hint=f"call {steps.optimizers[0].name}.step() after the backward pass",
        severity=None if thrown else Severity.SUSPICION,
        related=tuple((event.line, "clears them unused") for event in thrown[:1] if event.line),
        data={"backwards": len(backwards), "steps": steps.count},
    )


def _left_out(optimizer: Optimizer, own: set[str], steps: Steps, often: int) -> Finding | Open:
    """What is said of one optimizer that did not step while others did."""
    cleared = [event for event in steps.of("zero_grad") if own & set(event.parameters)]
    backwards = [event for event in steps.of("backward") if own & set(event.parameters)]
    untold = f"{optimizer.name} did not step in {steps.count} steps"
    if len(cleared) < often or len(cleared) + 1 < len(backwards):
        return Open(f"{untold}; it may step less often than the others")
    return Finding(
        f"{untold}: gradients of {len(own)} parameters that no other holds were cleared unused {len(cleared)} times",
        where=Place.of(optimizer.name, backwards[-1].line),
        cause=backwards[-1].line,
        hint=f"call {optimizer.name}.step() after the backward pass",
        severity=Severity.SUSPICION,
        subjects=tuple(sorted(own)),
        related=((cleared[-1].line, "clears them unused"),) if cleared[-1].line else (),
        data={"backwards": len(backwards), "steps": steps.count},
    )
