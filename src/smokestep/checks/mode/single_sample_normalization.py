"""Finds a normalization that takes its mean over a single value, so that its output says nothing about its input.

## What it finds
Layer or group normalization over one value (a last dimension of length 1; one channel a group without spatial extent):
the value minus itself is 0, whatever it was, and the gradient is 0. And batch or instance normalization in training
mode with one value a channel, which torch refuses: the finding says which layer, and why.

## Why it matters
Everything before such a layer is cut off from the loss, in the forward and in the backward pass. Batch normalization
meets it in the last, incomplete batch of an epoch, after hours.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1), nn.LayerNorm(1))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        F.mse_loss(model(inputs), targets).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randn(8, 1)))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        F.mse_loss(model(inputs), targets).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randn(8, 1)))
```

## When to allow it
When a size that is 1 in the test is larger in the real run.

## Source
PyTorch's own refusal in batch normalization: "Expected more than 1 value per channel when training".
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.modes import Modes
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity

NORMALIZATIONS = ("batch_norm", "instance_norm", "layer_norm", "group_norm", "other")
REFUSED = ("Expected more than 1 value per channel", "Expected more than 1 spatial element")


@check(
    severity="defect",
    since="0.1",
    explains=("zero-gradient", "constant-output", "ignored-input", "constant-loss", "nothing-trains", "dead-branch"),
    partial=True,
)
def single_sample_normalization(modes: Modes, steps: Steps) -> Iterator[Finding | NotApplicable]:
    layers = [layer for layer in modes.layers if layer.kind in NORMALIZATIONS]
    refused = any(text in (steps.error or "") for text in REFUSED)
    if not layers and not refused:
        yield NotApplicable("no normalization ran")
        return
    for layer in layers:
        runs = modes.of(layer.path)
        single = [run for run in runs if run.samples == 1]
        batched = layer.kind in ("batch_norm", "instance_norm")
        if not single or (batched and not refused) or (not batched and len(single) < len(runs)):
            continue
        if batched:
            what = (
                f"{layer.class_name} got one value a channel in training mode, which torch refuses: no mean or variance"
            )
        elif layer.class_name.startswith("RMS"):
            what = f"{layer.class_name} normalizes over one value: only its sign is left"
        else:
            what = f"{layer.class_name} normalizes over one value: its output is the same for every input"
        cause = layer.built or single[-1].line
        yield Finding(
            what,
            where=Place.of(layer.path, single[-1].line),
            cause=cause,
            hint="drop the last incomplete batch, or use a normalization that needs no batch"
            if batched
            else "normalize over a dimension that has more than one entry",
            severity=Severity.SUSPICION if cause and cause.installed else None,
            subjects=(layer.path,),
            related=((steps.error_line, "raised here"),) if batched and steps.error_line else (),
            data={"samples": 1, "runs": len(single)},
        )
