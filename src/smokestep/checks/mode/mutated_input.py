"""Finds a model that writes into the tensors it is given.

## What it finds
An operation in place (`x[mask] = 0`, `x.div_(255)`, a first layer `nn.ReLU(inplace=True)`) on an argument of the model
or on a view of it, where the caller still has that tensor: it is data that the step was given, or is read again after
the call, as a target for instance. What the step makes for the call alone is left alone.

## Why it matters
The caller's data are no longer what they were. A reconstruction is compared with the mask and not with the image; a
second call of the model sees other inputs; a dataset that hands out its own memory is different in the next epoch.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 6))

    def forward(self, x):
        x[:, ::2] = 0.0
        return self.body(x)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        optimizer.zero_grad()
        F.mse_loss(model(x), x).backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(8, 6))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 6))

    def forward(self, x):
        x = x.clone()
        x[:, ::2] = 0.0
        return self.body(x)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        optimizer.zero_grad()
        F.mse_loss(model(x), x).backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(8, 6))
```

## When to allow it
When the memory is saved on purpose, and nothing reads the input again.

## Source
PyTorch's documentation, "In-place operations with autograd", discourages them in most cases.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.repeat import Repeats
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def mutated_input(repeats: Repeats) -> Iterator[Said]:
    if not repeats.models:
        yield NotApplicable("no model was called")
    for model in repeats.models:
        if model.skipped:
            yield NotApplicable(model.skipped)
        for write in model.writes:
            if write.given or write.again:
                after = "and it is read again after the call" if write.again else "which its caller still holds"
                yield Finding(
                    f"`{write.name}` writes into `{write.argument}`, an argument of {model.model}, {after}",
                    where=Place.of(model.model, write.line),
                    cause=write.line,
                    hint="write into a copy (`x = x.clone()`), or use the operation that is not in place",
                    related=((write.again, "reads it again"),) if write.again else (),
                    data={"argument": write.argument, "again": write.again is not None},
                )
