"""Finds models whose output is the same for every sample although the samples differ.

## What it finds
A model whose outputs, in every call of every recorded step, have identical rows while its inputs have different
ones.

## Why it matters
Such a model cannot tell its inputs apart: the samples are averaged over the wrong dimension, every unit is dead, or
a normalization runs over a single value.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.out = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        h = torch.relu(self.body(x)).mean(dim=0, keepdim=True)
        return self.out(h).expand(len(x), -1)

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
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.out = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        h = torch.relu(self.body(x))
        return self.out(h)

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
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## When to allow it
A model of a whole set, which answers once for all its rows.

## Source
DeepLocalize (Wardat et al., 2021), constant outputs. An output that is constant beside others that are not (a
learned standard deviation) is healthy, and so is a head initialised to zero, which is constant in the first step
only.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fates import Fates
from smokestep.evidence.inputs import Inputs
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1", explains=("batch-leak", "batch-order", "batch-size", "lone-sample"))
def constant_output(inputs: Inputs, fates: Fates) -> Iterator[Said]:
    """Tells every model that gives all samples of every batch the same output."""
    if not any(model.compared for model in inputs.models):
        yield NotApplicable("no model was called with samples that differ")
    for model in inputs.models:
        if not model.constant:
            continue
        zero = next((fate.line for fate in fates.of("zero") if fate.line and model.owns(fate.parameter)), None)
        moved = any(fate.kind == "trains" and model.owns(fate.parameter) for fate in fates.fates)
        yield Finding(
            f"{model.name} gives every sample of a batch the same output, in {model.compared} calls with samples that "
            "differ",
            where=Place.of(model.name, model.called),
            cause=zero or model.called,
            hint="look for a mean, a norm or a softmax over the wrong dimension",
            severity=None if moved and model.compared > 1 else Severity.SUSPICION,
        )
