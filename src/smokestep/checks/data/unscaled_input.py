"""Finds inputs of a size that the first layer is not made for, such as pixels from 0 to 255.

## What it finds
A tensor of the data with entries of 50 and more, or of unsigned bytes, that a trained layer reads as it is and turns
into results of 30 and more, with no normalization after it, and with further layers behind.

## Why it matters
Layers are drawn for inputs of about -1 to 1. With 255 times as much, sigmoids and tanhs are flat from the first step,
scores are certain and wrong, and the gradient of the first layer is out of proportion to that of the others, so that no
learning rate suits both.

## Bad
```python
def training():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        images, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(images.float()), y)
        loss.backward()
        optimizer.step()
        return loss
    images = torch.randint(0, 256, (8, 8, 8), dtype=torch.uint8)
    return smokestep.Training(step, (images, torch.randint(0, 2, (8, 1)).float()))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        images, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(images.float() / 255), y)
        loss.backward()
        optimizer.step()
        return loss
    images = torch.randint(0, 256, (8, 8, 8), dtype=torch.uint8)
    return smokestep.Training(step, (images, torch.randint(0, 2, (8, 1)).float()))
```

## When to allow it
Inputs whose size is a message of its own, where the layers are drawn to match.

## Source
LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), section 4.3. UMLAUT (Schoop et al., 2021) tells inputs
beyond -1 to 1, with or without a consequence.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.steps import Steps
from smokestep.evidence.units import first_layers, hidden_layers
from smokestep.findings import Finding, NotApplicable, Place


# `largest`: standardised data hold nothing beyond 10, and of the healthy trainings that smokestep is tested with none
# beyond 8. `result`: three times the standard deviation of 10 beyond which sigmoids and softmaxes are decided.
@check(severity="suspicion", since="0.1", explains=("saturated-units", "dead-units", "high-initial-loss"))
def unscaled_input(flow: Flow, steps: Steps, *, largest: float = 50.0, result: float = 30.0) -> Iterator[Said]:
    trained = {parameter.name for parameter in steps.parameters if parameter.requires_grad and parameter.optimizers}
    found = [each for graph in flow.graphs[:1] for each in first_layers(graph)]
    if not found:
        yield NotApplicable("no layer reads the data as it is")
        return
    hidden = hidden_layers(flow)
    for layer, given, made in found:
        byte = given.dtype == "uint8"
        if layer.weight not in trained & hidden.keys() or not (byte or (given.peak or 0.0) >= largest):
            continue
        if made.peak is None or not result <= made.peak < float("inf"):
            continue
        what = "unsigned bytes" if byte else f"entries up to {given.peak:.3g}"
        yield Finding(
            f"{given.name or 'the data'} holds {what}, and {layer.weight} reads it as it is: its results reach "
            f"{made.peak:.3g}, and nothing normalises them",
            where=Place.of(layer.weight, layer.line),
            cause=layer.line,
            hint="divide bytes by 255; else subtract the mean and divide by the standard deviation of each feature",
            data={"input": given.peak, "result": made.peak},
        )
