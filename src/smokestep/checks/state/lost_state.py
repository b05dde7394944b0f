"""Finds what a model's output depends on and its `state_dict` leaves out.

## What it finds
The model is saved, loaded into one that the same function builds with another seed, and given the same input in
evaluation mode. Where the output differs, the missing tensors or numbers are put in place until it does not. One that
the model's own code draws at random when it is built is a defect; one that training changed is a suspicion.

## Why it matters
The checkpoint loads, and gives another model: its random features or statistics are not those it was trained with.

## Bad
```python
class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.projection = torch.randn(6, 16)
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        return self.last(torch.cos(x @ self.projection))

def training():
    model = Features()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("projection", torch.randn(6, 16))
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        return self.last(torch.cos(x @ self.projection))

def training():
    model = Features()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When the model is always built with the same seed, or the tensor is saved by other means.

## Source
PyTorch's documentation of `Module.register_buffer`: buffers are saved alongside parameters, other tensors are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.roundtrip import RoundTrips
from smokestep.findings import Finding, NotApplicable, Open, Place, Severity

WHAT = {
    "drawn": "drawn at random when the model is built",
    "changed": "changed by training",
}


@check(severity="defect", since="0.1", on_request=True)
def lost_state(trips: RoundTrips) -> Iterator[Said]:
    if not trips.models:
        yield NotApplicable("no model was called")
    for model in trips.models:
        if model.apart and model.skipped:
            yield Open(model.skipped)
        elif model.skipped or model.refused:
            yield NotApplicable(model.skipped or f"its state could not be loaded: {model.refused}")
        for lost in model.lost:
            if lost.origin not in WHAT:
                yield NotApplicable(f"{lost.name} is not saved, and comes from elsewhere than the model's own draws")
                continue
            yield Finding(
                f"after saving and loading, the output differs by {model.apart:.2g} of its scale: {lost.name}, "
                f"{WHAT[lost.origin]}, is not in the state_dict",
                where=Place.of(lost.name, lost.line),
                cause=lost.line or model.line,
                hint=f"`self.register_buffer({lost.name.rpartition('.')[2]!r}, ...)` saves it with the model",
                severity=None if lost.origin == "drawn" and lost.tensor else Severity.SUSPICION,
                subjects=(lost.name,),
                data={"apart": model.apart, "origin": lost.origin},
            )
