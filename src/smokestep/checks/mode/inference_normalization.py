"""Finds normalization that runs in inference mode inside a training step, with statistics that nobody ever updates.

## What it finds
A batch normalization (or an instance normalization that keeps statistics) that trained in evaluation mode: its running
statistics are still the initial 0 and 1, so it normalizes nothing (a defect); or they were learned before, and its own
parameters train (a suspicion: freezing pretrained statistics is a known recipe). Likewise a model that leaves training
mode after the first step. Frozen layers, and models that run in both modes in a step, are left alone.

## Why it matters
The layer is a fixed scale and shift; activations drift as if it were not there, and all its parameters still move, so a
test that compares weights before and after a step stays green.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    model.eval()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    model.train()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the statistics are frozen on purpose, and the real run loads trained ones.

## Source
Chase Roberts, "How to unit test machine learning code" (2017): a batch normalization whose `is_training` was False.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.fate import abridged
from smokestep.evidence.modes import Layer, Modes
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, Line, NotApplicable, Place, Severity


@check(severity="defect", since="0.1", explains=("trained-in-eval", "frozen-statistics"))
def inference_normalization(modes: Modes, steps: Steps) -> Iterator[Finding | NotApplicable]:
    layers = [layer for layer in modes.layers if layer.kind in ("batch_norm", "instance_norm") and layer.statistics]
    if not layers:
        yield NotApplicable("no normalization with running statistics ran")
        return
    trained = {move.parameter for move in steps.movements if move.gradient is not None}
    living = {each.model for each in steps.parameters if each.name in trained}
    found: dict[tuple[str, Line | None], list[Layer]] = {}
    for layer in layers:
        habit = modes.habit(layer.path)
        trains = bool(trained & set(layer.trainable)) or (not layer.affine and layer.model in living)
        if habit not in ("eval", "left") or not trains:
            continue
        kind = "left" if habit == "left" else "initial" if layer.seen == 0 else "learned"
        if kind != "learned" or layer.affine:
            line = modes.switch(layer.path, False) or modes.trained(layer.path)[0].line
            found.setdefault((kind, line), []).append(layer)
    for (kind, line), those in found.items():
        what = {
            "initial": "the running statistics are and stay the initial mean 0 and variance 1: nothing is normalized",
            "left": "the first step trained in training mode, and none after it: the switch to eval() was not undone",
            "learned": "the running statistics were learned before and stay as they are, while weight and bias train",
        }[kind]
        yield Finding(
            f"{those[0].class_name} trains in inference mode; {what}",
            where=Place.of(abridged([layer.path for layer in those]), line),
            cause=line,
            hint="call model.train() before the training step, and again after each evaluation",
            severity=Severity.SUSPICION if kind == "learned" else None,
            subjects=tuple(layer.path for layer in those),
            related=tuple((layer.built, "built here") for layer in those[:1] if layer.built and layer.built != line),
            data={"layers": len(those), "seen": those[0].seen},
        )
