"""Finds gradient clipping that clips nothing the update will use, or that clips gradients still scaled.

## What it finds
A clipping line that never once met gradients waiting for an update: it stands after `optimizer.step()`, or before
`loss.backward()`. And one that stands before `scaler.unscale_(optimizer)`, so that it compares the limit with gradients
that are still multiplied by the loss scale (a suspicion: the limit may have been scaled as well).

## Why it matters
The limit does nothing, and a run that diverges looks protected. Clipping scaled gradients shrinks every update.

## Bad
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
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)

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
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the call only measures the norm for the log; with the limit `inf` that is understood without being told.

## Source
PyTorch, "Automatic Mixed Precision examples": gradient clipping works on unscaled gradients, before the update.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.gradients import Clip, Gradients
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, Line, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def misplaced_clip(steps: Steps, gradients: Gradients) -> Iterator[Finding | NotApplicable]:
    if steps.own_loop or not gradients.clips:
        yield NotApplicable("the loop was smokestep's own" if steps.own_loop else "no gradient was clipped")
        return
    received = {name for event in steps.of("backward") for name in event.parameters}
    lines: dict[Line | None, list[Clip]] = {}
    for clip in gradients.clips:
        limit = clip.event.detail.get("limit")
        measures = isinstance(limit, float) and math.isinf(limit)
        if received & set(clip.event.parameters) and not measures:
            lines.setdefault(clip.event.line, []).append(clip)
    clipped = {name for clip in gradients.clips for name in clip.fresh}
    for line, clips in lines.items():
        first, last = clips[0], clips[-1]
        if not any(clip.fresh for clip in clips) and not clipped & set(last.event.parameters):
            after = last.used and last.used.step == last.event.step
            where = "after the update that used them" if after else "before the backward pass"
            update = last.used.line if last.used and after else None
            yield Finding(
                f"the gradients are clipped {where}: not one of {len(clips)} calls met gradients still to be used",
                where=Place.of(None, line),
                cause=line,
                hint="clip between loss.backward() and optimizer.step()",
                related=((update, "the update"),) if update else (),
                data={"calls": len(clips)},
            )
        elif first.scaled and all(clip.scaled for clip in clips):
            unscaled = first.scaled.line
            yield Finding(
                "the gradients are clipped while they are still multiplied by the loss scale",
                where=Place.of(None, line),
                cause=line,
                hint=f"call scaler.unscale_({first.scaled.subject or 'optimizer'}) before this line",
                severity=Severity.SUSPICION,
                related=((unscaled, "unscaled only here"),) if unscaled else (),
                data={"calls": len(clips)},
            )
