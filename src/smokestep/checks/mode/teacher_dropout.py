"""Finds a teacher that nothing trains or changes, and that runs in training mode, with its dropout active.

## What it finds
A model of its own that is only ever called without gradient, whose answers reach the loss, whose parameters nothing
moves, and whose dropout drops. One that is called twice on an input, or that follows another model, is left alone.

## Why it matters
With dropout a fixed teacher answers differently each time, from a part of its units: a worse teacher than was chosen.
`requires_grad_(False)` and `no_grad()` do not switch it off; `model.train()` on what holds it switches it on again.

## Bad
```python
def training() -> smokestep.Training:
    teacher = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
    student = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)

    def step(inputs):
        with torch.no_grad():
            wanted = teacher(inputs).softmax(1)
        optimizer.zero_grad()
        loss = F.kl_div(F.log_softmax(student(inputs), 1), wanted, reduction="batchmean")
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(8, 3))
```

## Good
```python
def training() -> smokestep.Training:
    teacher = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)).eval()
    student = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)

    def step(inputs):
        with torch.no_grad():
            wanted = teacher(inputs).softmax(1)
        optimizer.zero_grad()
        loss = F.kl_div(F.log_softmax(student(inputs), 1), wanted, reduction="batchmean")
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(8, 3))
```

## When to allow it
When the teacher's noise is wanted.

## Source
Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015): targets are the teacher's predictions.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.called import Called
from smokestep.evidence.flow import Call
from smokestep.evidence.modes import Modes
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def teacher_dropout(steps: Steps, modes: Modes, flow: Called) -> Iterator[Finding | NotApplicable]:
    calls: dict[str, list[Call]] = {}
    for graph in flow.graphs:
        for call in graph.calls:
            calls.setdefault(call.model, []).append(call)
    still = {model for model in calls if model and _still(model, calls[model], steps)}
    if not still:
        yield NotApplicable("no model ran that nothing trains or changes")
        return
    for model in sorted(still):
        layers = {each.path: each for each in modes.layers if each.model == model and each.kind == "dropout"}
        runs = [run for run in modes.runs if run.path in layers and run.training and layers[run.path].probability]
        reached = [run for run in runs if run.reaches_root]
        if not reached or {run.step for run in reached} != {call.step for call in calls[model]}:
            continue
        paths = sorted({run.path for run in reached})
        called, switched = calls[model][0].line, modes.switch(model, True)
        yield Finding(
            f"{model} is called without gradient and nothing changes it, and its dropout is active "
            f"({', '.join(paths[:3])}{', …' if paths[3:] else ''}): the same input gets another answer each time",
            where=Place.of(model, switched or called),
            cause=switched or called,
            hint=f"{model}.eval()" + (", after each train() of what holds it" if switched else ""),
            related=((called, "called here"),) if switched and called else (),
            data={"layers": paths},
        )


def _still(model: str, calls: list[Call], steps: Steps) -> bool:
    """Whether a model has parameters, is only looked at, once for each input, and stays as it is."""
    own = {each.name for each in steps.parameters if each.model == model and not each.optimizers}
    held = any(each.model == model and each.optimizers for each in steps.parameters)
    asked = [(call.step, *(value for _, value in call.inputs)) for call in calls]
    moved = any(move.update for move in steps.movements if move.parameter in own)
    return bool(own) and not held and not moved and not any(c.grad for c in calls) and len(set(asked)) == len(asked)
