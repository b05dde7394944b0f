"""Finds running averages that a model goes on updating in evaluation mode.

## What it finds
A buffer or tensor attribute that moves when the model is called in evaluation mode, each time by the same fraction of
the way in all its entries (so it is an average, and no cache, queue or hidden state), while the output changes with it.
Normalization layers of PyTorch ask for the mode; statistics kept by hand, and codebooks, must do so themselves.

## Why it matters
The validation data leak into the model: its statistics drift towards what it is evaluated on, and the result of an
evaluation depends on what was evaluated before it, and in which order.

## Bad
```python
class Centered(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return self.last(x - self.mean.clone())

def training():
    model = Centered()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 2, (8,))))
```

## Good
```python
class Centered(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return self.last(x - self.mean.clone())

def training():
    model = Centered()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 2, (8,))))
```

## When to allow it
When the statistics are meant to follow the data in use, too (adaptation at test time, normalised observations).

## Source
PyTorch's own normalizations update their statistics `if self.training` only.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.repeat import Repeats
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def evaluation_updates(repeats: Repeats) -> Iterator[Said]:
    if not repeats.models:
        yield NotApplicable("no model was called")
    for model in repeats.models:
        if model.skipped:
            yield NotApplicable(model.skipped)
        owners: dict[str, dict[str, Line | None]] = {}
        for name, at in model.averages:
            owners.setdefault(name.rpartition(".")[0], {})[name] = at
        for names in owners.values():
            line = next((at for at in names.values() if at), model.line)
            those = ", ".join(names)
            yield Finding(
                f"{those} goes on as a running average in evaluation mode, and the output changes with it",
                where=Place.of(those, line),
                cause=line,
                hint="update it only `if self.training`",
                subjects=tuple(names),
                data={"tensors": len(names)},
            )
