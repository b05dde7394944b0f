"""Finds parameters that are frozen although they are evidently meant to train.

## What it finds
Parameters that do not require gradient in any recorded step although `trains` names them (a defect), and parameter
groups of an optimizer in which everything is frozen (a suspicion). A frozen backbone among other parameters is
healthy.

## Why it matters
`requires_grad_(False)` outlives the experiment it was written for, and an optimizer skips such parameters in
silence.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    for layer in model[:2]: layer.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)), model=model, trains=["*"])
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    model[0].requires_grad_(False)
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
A group that a schedule unfreezes later.

## Source
mltest (Chase Roberts, 2017): declared parameters must train. PyTorch's transfer learning tutorial, for freezing.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fate import Cluster, abridged
from smokestep.evidence.fates import Fates
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1", explains=("nothing-trains", "foreign-update"))
def frozen_parameter(fates: Fates, steps: Steps) -> Iterator[Said]:
    """Tells frozen parameters that are declared to train, and groups of nothing but frozen ones."""
    frozen = {fate.parameter: fate for fate in fates.of("frozen")}
    if not frozen:
        yield NotApplicable("nothing is frozen")
    declared = [frozen[each.name] for each in steps.parameters if each.explicit and each.name in frozen]
    if declared:
        told = Cluster(tuple(declared))
        yield told.told(
            f"{told.title} should train, and does not require gradient in any of {fates.steps} steps",
            "call requires_grad_(True), or take it out of `trains`",
        )
    for optimizer in steps.optimizers if len(frozen) < len(fates.fates) else ():
        for group in optimizer.groups:
            names = [name for name in group.parameters if name in frozen]
            if names and len(names) == len(group.parameters) and not any(frozen[name] in declared for name in names):
                yield Finding(
                    f"all {len(names)} parameters of a group of {optimizer.name or optimizer.kind} are frozen: "
                    f"{abridged(names)}",
                    where=Place.of(abridged(names), optimizer.line),
                    cause=optimizer.line,
                    hint="unfreeze them, or take the group out",
                    severity=Severity.SUSPICION,
                    subjects=tuple(names),
                )
