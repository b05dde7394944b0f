"""Finds a model that does not keep its form for a batch of one.

## What it finds
The recorded call is made again with a single sample, in evaluation mode: it raises, or the output has lost a dimension.
Models that also fail with two samples are told by `batch-size`.

## Why it matters
`squeeze()` without a dimension takes the batch with it when there is one sample: the last batch of some epoch raises,
or a loss broadcasts what was meant to match; at inference, one sample is the usual case.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 2)
    def forward(self, x):
        return self.head(F.adaptive_avg_pool2d(F.relu(self.conv(x)), 1).squeeze())

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 1, 6, 6), torch.randint(0, 2, (8,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 2)
    def forward(self, x):
        return self.head(F.adaptive_avg_pool2d(F.relu(self.conv(x)), 1).flatten(1))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 1, 6, 6), torch.randint(0, 2, (8,))))
```

## When to allow it
When a batch of one never occurs, or a scalar for it is what the caller expects.

## Source
Missing squeeze and reshape dimensions in the taxonomy of real faults in deep learning systems (Humbatova et al., 2020).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.influence import Influence
from smokestep.findings import Finding, NotApplicable, Place

REFUSED = "Expected more than 1"  # torch, of a normalization over one value


@check(severity="suspicion", since="0.1")
def lone_sample(influence: Influence) -> Iterator[Said]:
    for model in influence.models:
        if model.skipped or model.leaks or model.fewer:
            why = model.skipped or (
                "its samples influence each other" if model.leaks else "it wants its batch as it is"
            )
            yield NotApplicable(f"{model.model}: {why}")
        elif REFUSED in model.alone:
            yield NotApplicable(
                f"{model.model}: a normalization has one value to work on (single-sample-normalization)"
            )
        elif model.alone:
            line = model.alone_line or model.squeezed
            yield Finding(
                message=f"a call with one sample: {model.alone}",
                where=Place.of(model.model, line),
                cause=line or model.line,
                hint="name the dimension: squeeze(-1) or flatten(1), not squeeze()",
                subjects=(model.model,),
            )
