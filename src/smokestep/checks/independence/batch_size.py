"""Finds a model that works for one batch size only, or whose output for a sample changes with it.

## What it finds
The recorded call is made again with fewer samples, in evaluation mode: a `view` or `reshape` raises, or there is no row
for each sample, or the same samples get other outputs. Other errors are taken for a design with a row for each sample:
a graph's adjacency, a state kept between calls.

## Why it matters
The last batch of an epoch is smaller, and so is the batch that serves one user. A size written into the code raises
there after hours; where `view` can make other sense of it, it merges samples and raises nothing.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 3)
        self.head = nn.Linear(16, 2)
    def forward(self, x):
        return self.head(F.relu(self.conv(x)).view(8, -1))

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
    return smokestep.Training(step, (torch.randn(8, 1, 6), torch.randint(0, 2, (8,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 3)
        self.head = nn.Linear(16, 2)
    def forward(self, x):
        return self.head(F.relu(self.conv(x)).flatten(1))

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
    return smokestep.Training(step, (torch.randn(8, 1, 6), torch.randint(0, 2, (8,))))
```

## When to allow it
When the batch size is part of the design and incomplete batches are dropped.

## Source
The contract f(x)[:k] = f(x[:k]), up to rounding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.influence import Influence
from smokestep.findings import Finding, NotApplicable, Place

# how torch and JAX say that a view fails
RESHAPING = re.compile(r"shape '\[.*\]' is invalid for input of size|cannot reshape array of shape .* into shape")


@check(severity="suspicion", since="0.1")
def batch_size(influence: Influence) -> Iterator[Said]:
    for model in influence.models:
        if model.skipped or model.leaks:
            yield NotApplicable(f"{model.model}: {model.skipped or 'its samples influence each other'}")
        elif model.fewer_line and not model.written and not RESHAPING.search(model.fewer):
            yield NotApplicable(f"{model.model}: it wants as many samples as it had ({model.fewer})")
        elif model.fewer or model.size:
            what = f": {model.fewer}" if model.fewer else f" gives the samples other outputs than with {model.picked}"
            count = f"{model.picked - 1}" if model.size or model.whole else f"{model.picked}"
            yield Finding(
                message=f"a call with {count} samples{what}",
                where=Place.of(model.model, model.fewer_line),
                cause=model.fewer_line or model.line,
                hint="take the batch size from the input (x.shape[0], or flatten(1)); or drop incomplete batches",
                subjects=(model.model,),
                data={"picked": model.picked},
            )
