"""Finds parameters that a model uses and does not know: kept in a list, a dict, a tuple or a plain attribute.

## What it finds
Tensors that require gradient, get gradient, and are held by no optimizer, because `model.parameters()` does not list
them: layers in a Python list or dict in place of `nn.ModuleList` or `nn.ModuleDict`, a tensor in place of
`nn.Parameter`.

## Why it matters
They run and get gradient, but are never trained, never moved to the GPU, and never saved.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(6, 6) for _ in range(2)]
        self.out = nn.Linear(6, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.out(x)

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
    return smokestep.Training(step, (torch.randn(8, 6), torch.randn(8, 1)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.out = nn.Linear(6, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.out(x)

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
    return smokestep.Training(step, (torch.randn(8, 6), torch.randn(8, 1)))
```

## When to allow it
A network hidden from `parameters()` on purpose, for its gradient alone. Freezing it says so.

## Source
PyTorch's documentation of `torch.nn.ModuleList`: modules in it "are properly registered", those in a list are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fates import Fates
from smokestep.evidence.steps import Steps
from smokestep.findings import NotApplicable

REGISTERS = {"list": "nn.ModuleList or nn.ParameterList", "tuple": "nn.ModuleList or nn.ParameterList",
             "dict": "nn.ModuleDict or nn.ParameterDict"}  # fmt: skip


@check(
    severity="defect", since="0.1", explains=("lost-state", "unoptimized-parameter", "nothing-trains", "unreached-mode")
)
def unregistered_parameter(fates: Fates, steps: Steps) -> Iterator[Said]:
    """Tells every line that keeps trained layers where the model does not see them."""
    if not fates.fates:
        yield NotApplicable("no trainable parameter was found")
    for cluster in fates.clusters("unregistered"):
        parameter = steps.parameter(cluster.names[0])
        container = parameter.container if parameter else ""
        place = f"{'plain ' if container == 'attribute' else ''}{container or 'place'}"
        yield cluster.told(
            f"{cluster.title} got gradient in {fates.steps} steps and no optimizer holds {cluster.them}: "
            f"{cluster.code} keeps {cluster.them} in a {place} that `parameters()` does not see",
            f"use {REGISTERS.get(container, 'nn.Parameter')}, and build the optimizer afterwards",
        )
