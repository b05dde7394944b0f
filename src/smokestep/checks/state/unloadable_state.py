"""Finds a model whose own checkpoint cannot be saved, or not be loaded into a model built afresh.

## What it finds
`torch.save(model.state_dict())`, or `load_state_dict` of it on a model that the same function builds, raised: keys that
appear or vanish, or sizes that change, while the model trains.

## Why it matters
It shows when the training is to be resumed, or the model to be used, days later. With `strict=False` it does not show
even then: what does not fit is left at random.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        if not hasattr(self, "scale"):
            self.register_buffer("scale", x.detach().std(0))
        return self.last(x / self.scale)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 3)
        self.register_buffer("scale", torch.zeros(6))

    def forward(self, x):
        if not self.scale.any():
            self.scale.copy_(x.detach().std(0))
        return self.last(x / self.scale.clone())

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When whoever loads the model first makes it grow as it did in training: by one call, for instance.

## Source
PyTorch's documentation of `Module.load_state_dict`.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.roundtrip import RoundTrips
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1", on_request=True)
def unloadable_state(trips: RoundTrips) -> Iterator[Said]:
    if not trips.models:
        yield NotApplicable("no model was called")
    for model in trips.models:
        if model.skipped:
            yield NotApplicable(model.skipped)
        if model.refused:
            yield Finding(
                f"the state of {model.model} cannot be loaded into one built afresh: {' '.join(model.refused.split())}",
                where=Place.of(model.model, model.line),
                cause=model.line,
                hint="build every parameter and buffer in `__init__`, with its final size",
                subjects=(model.model,),
            )
