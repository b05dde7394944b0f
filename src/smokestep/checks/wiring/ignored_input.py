"""Finds models whose output does not depend on what they are given.

## What it finds
A tensor handed to a model of the user's that no operation on the way to the model's outputs reads the entries of, in
any recorded step. A defect if that holds for every tensor the model is given, a suspicion for one among several.

## Why it matters
A model that ignores its input learns the average of the targets, and its loss falls.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, 8))
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        noise = torch.randn(len(x), 8)
        return self.out(torch.tanh(self.start + noise))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(6, 8), torch.randn(6, 1)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, 8))
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        noise = torch.randn(len(x), 8) if self.training else 0.0
        return self.out(torch.tanh(self.start + x + noise))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(6, 8), torch.randn(6, 1)))
```

## When to allow it
An argument kept for a common interface; a baseline without input.

## Source
A. Karpathy, "A Recipe for Training Neural Networks" (2019): the input-independent baseline.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.inputs import Inputs
from smokestep.findings import Finding, NotApplicable, Open, Place, Severity


@check(severity="defect", since="0.1", explains=("constant-output",))
def ignored_input(inputs: Inputs) -> Iterator[Said]:
    """Tells every model that does not read what it is given."""
    if not inputs.models:
        yield NotApplicable("no model of the user's was called with a tensor")
    for model in inputs.models:
        if model.opaque and model.ignored:
            yield Open(f"{model.name}: calls whose inside was not seen may read {', '.join(model.ignored)}")
        elif model.ignored:
            every = len(model.ignored) == len(model.given)
            what = "all it is given" if every else f"{len(model.ignored)} of the {len(model.given)} tensors it is given"
            yield Finding(
                f"{model.name} does not read {', '.join(f'`{name}`' for name in model.ignored)} ({what}) in "
                f"{model.calls} calls",
                where=Place.of(model.name, model.line),
                cause=model.line,
                hint="use it in forward",
                severity=None if every else Severity.SUSPICION,
            )
