"""Finds layers and parameters that are built, handed to the optimizer, and read by nothing.

## What it finds
Parameters that no operation of any recorded step reads, and whose attribute nothing in the class of the model reads
either. A layer that is mentioned but did not run (an expert without a token, a dropped layer, a head for another
task) is not told: the verdict is then "could not tell".

## Why it matters
The layer was meant to be part of the network; the network is smaller than its author believes.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.fc2 = nn.Linear(8, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        h = torch.relu(self.fc1(x))
        return self.out(h)

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
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.fc2 = nn.Linear(8, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        h = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        return self.out(h)

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
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)))
```

## When to allow it
A layer kept so that old checkpoints still load.

## Source
DEFault++, among the faults it collects from bug reports: a declared layer that is never called.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fates import Fates
from smokestep.findings import NotApplicable, Open


@check(severity="defect", since="0.1", explains=("nothing-trains",))
def unused_layer(fates: Fates) -> Iterator[Said]:
    """Tells every layer that nothing reads."""
    if not fates.fates:
        yield NotApplicable("no trainable parameter was found")
    for cluster in fates.clusters("unused"):
        yield cluster.told(
            f"{cluster.title} took part in none of {fates.steps} steps: {cluster.code} builds it, and nothing reads it",
            "use it in forward, or delete it",
        )
    waiting = [fate.parameter for fate in fates.of("conditional") if not fate.op]
    if waiting:
        yield Open(f"{len(waiting)} parameters took no part in {fates.steps} steps: {', '.join(waiting[:4])}")
