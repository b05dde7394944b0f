"""Finds optimizers that hold tensors which the model no longer uses.

## What it finds
An optimizer built before a layer was replaced, a parameter assigned anew, or the model copied: it holds the old
tensors, which nothing uses, while the model's own of the same shape get gradient and are held by no optimizer.

## Why it matters
`optimizer.step()` runs without complaint and updates nothing that the model uses.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[2] = nn.Linear(8, 3)
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
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    model[2] = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
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
Never seen to be right. Leave the old tensors out of the optimizer.

## Source
PyTorch's documentation of `torch.optim`: construct an optimizer after the model has been moved and completed.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence import source
from smokestep.evidence.fate import abridged
from smokestep.evidence.fates import Fates
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="defect", since="0.1", explains=("unoptimized-parameter", "unused-layer", "nothing-trains"))
def stale_optimizer(steps: Steps, fates: Fates) -> Iterator[Said]:
    """Tells every optimizer that holds old tensors while the model's own go without."""
    if not steps.optimizers:
        yield NotApplicable("no optimizer was seen")
    without = {fate.parameter for fate in fates.of("stale")}
    for optimizer in steps.optimizers:
        pairs = [(held, twin) for held, twin in optimizer.stale if twin in without]
        if not pairs:
            continue
        twins = tuple(twin for _, twin in pairs)
        them = "it" if len(twins) == 1 else "them"
        layer = twins[0].split(".")[-2:][0]
        later = source.assigned_after(optimizer.line, layer) if optimizer.line else None
        yield Finding(
            f"{optimizer.name or optimizer.kind} holds {len(pairs)} {'tensor' if len(pairs) == 1 else 'tensors'} that "
            f"no model uses; in their place {abridged(twins)} got gradient in {fates.steps} steps, and no optimizer "
            f"holds {them}",
            where=Place.of(abridged(twins), optimizer.line),
            cause=optimizer.line,
            hint="build the optimizer after the model is complete",
            subjects=twins,
            related=((later, f"assigns `{layer}` after the optimizer was built"),) if later else (),
        )
