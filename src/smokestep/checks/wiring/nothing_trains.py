"""Finds trainings in which no parameter changes in any step, and no other check knows why.

## What it finds
Every trainable parameter is bit for bit the same after all recorded steps: no `backward`, everything frozen, an
error swallowed in each step.

## Why it matters
It costs the whole run. Other checks tell a reason where there is one; this is the alarm behind them.

## Bad
```python
def training():
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)))
```

## Good
```python
def training():
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)))
```

## When to allow it
A step that only evaluates. It then needs no smoke test.

## Source
mltest (Chase Roberts, 2017): every trainable variable must change in a step.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fate import FateKind
from smokestep.evidence.fates import Fates
from smokestep.evidence.flow import Flow
from smokestep.evidence.gradients import Gradients
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Open, Place

ALARMS: tuple[FateKind, ...] = ("frozen", "no update", "unexplained", "aside")
UNKNOWN: tuple[FateKind, ...] = ("opaque", "waiting", "conditional")


@check(severity="defect", since="0.1")
def nothing_trains(steps: Steps, fates: Fates, flow: Flow, gradients: Gradients) -> Iterator[Said]:
    """Tells a training that leaves every parameter as it was, unless a check that knows more does."""
    if not steps.parameters:
        yield NotApplicable("no trainable parameter was found")
        return
    if any(move.update != 0.0 for move in steps.movements) or not fates.steps:
        return
    kinds = {fate.kind for fate in fates.fates}
    backward = bool(steps.of("backward"))
    if not backward and any(op.name == "grad" for graph in flow.graphs for op in graph.ops):
        yield Open("gradients were taken without a backward pass, and where they went was not seen")
        return
    # emptied between backward and update by something else than a clearing, of which `cleared-gradients` would tell
    emptied = kinds == {"cleared"} and not any(use.wiped for use in gradients.uses)
    if not emptied and (not kinds <= set(ALARMS) or ("no update" in kinds and backward)):
        if kinds & set(UNKNOWN):
            yield Open(f"no parameter changed in {fates.steps} steps, and why could not be told")
        return
    events = steps.of("update", "backward") or (*steps.of("forward"), *steps.of("step"))
    frozen = next((fate.line for fate in fates.of("frozen") if fate.line), None)
    line = frozen or next((event.line for event in events if event.line), None)
    why = "no backward was called" if not backward else "all are frozen" if "frozen" in kinds else "why is not known"
    why = "each gradient was exactly 0 at the update, and was not after backward" if emptied else why
    yield Finding(
        f"none of {len(fates.fates)} parameters changed in {fates.steps} steps: {why}",
        where=Place.of(None, line),
        cause=line,
        hint="call loss.backward() before optimizer.step()"
        if not backward
        else "look at what is done to the gradients before the update: a clip to 0, a mask"
        if emptied
        else "unfreeze what should train",
    )
