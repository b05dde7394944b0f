"""Finds two factors of one product that both begin as zero, so that neither ever gets a gradient.

## What it finds
A product, linear layer or convolution both of whose factors are exactly 0 whatever the data are, because trainable
parameters that they come from are, and whose parameters got a gradient of exactly 0 at every recorded update.

## Why it matters
One zero factor is a good beginning: it gets a gradient, and from its first update on so does the other. Two never
begin. The branch adds 0 to the network for ever, and gradients that are there and 0 show nowhere.

## Bad
```python
class Adapted(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.zeros(4, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, 4))

    def forward(self, x):
        return self.base(x) + x @ self.a.T @ self.b.T

def training():
    model = nn.Sequential(Adapted(nn.Linear(8, 16)), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 8), torch.randn(8, 1)))
```

## Good
```python
class Adapted(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(4, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, 4))

    def forward(self, x):
        return self.base(x) + x @ self.a.T @ self.b.T

def training():
    model = nn.Sequential(Adapted(nn.Linear(8, 16)), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 8), torch.randn(8, 1)))
```

## When to allow it
Parameters that something else than this training sets later, such as weights that are loaded after some epochs.

## Source
Hu et al., "LoRA" (2021), section 4.1: one factor is random, the other zero. The derivative of a product.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.beginnings import Beginnings
from smokestep.evidence.fate import abridged
from smokestep.evidence.flow import Flow
from smokestep.evidence.products import stuck
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="defect", since="0.1", explains=("zero-gradient", "nothing-trains", "constant-output"))
def zero_product(steps: Steps, flow: Flow, beginnings: Beginnings) -> Iterator[Said]:
    products = stuck(steps, flow)
    if products is None:
        yield NotApplicable("no parameter is zero, gets a gradient of 0 at every update, and is held by an optimizer")
        return
    lines = {each.parameter: each.line for each in beginnings.alike}
    for product in products:
        names = tuple(sorted(product.first | product.second))
        built = dict.fromkeys(line for name in names if (line := lines.get(name)) and line != product.line)
        yield Finding(
            f"{abridged(names)} are all zero, and meet in `{product.op.name}`: each one's gradient is 0 while the "
            "other is, so neither ever moves",
            where=Place.of(abridged(names), product.line),
            cause=product.line,
            hint="let one of the two begin as random numbers; the other may stay zero",
            subjects=names,
            related=tuple((line, "filled here") for line in built),
        )
