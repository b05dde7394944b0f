"""Finds parameters that get gradient and that no optimizer holds.

## What it finds
Trainable parameters of a model that receive gradient in the recorded steps, while every optimizer holds only others.
A defect if they are the smaller part of their model and the optimizer's list was not made by a condition, if
`trains` names them, or if no optimizer holds anything that gets gradient.

## Why it matters
Gradient is computed for them and thrown away: a layer added later, a parameter group that was forgotten.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam([*model[0].parameters(), *model[2].parameters()])
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
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
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
A part that is kept fixed by leaving it out. `requires_grad_(False)` says so, and saves its gradient.

## Source
TrainCheck (OSDI 2025), parameters missing from the optimizer. A probe, an adapter or a network that serves as loss
leaves out the larger part of a model on purpose: a suspicion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from smokestep.check import Said, check
from smokestep.evidence.declared import Declared
from smokestep.evidence.fate import Cluster, Fate
from smokestep.evidence.fates import Fates
from smokestep.evidence.steps import Optimizer, Steps
from smokestep.findings import NotApplicable


@check(severity="defect", since="0.1", explains=("nothing-trains",))
def unoptimized_parameter(fates: Fates, steps: Steps, declared: Declared) -> Iterator[Said]:
    """Tells, for every model, the parameters with gradient that no optimizer holds."""
    if not steps.optimizers:
        yield NotApplicable("no optimizer was seen")
        return
    known = {parameter.name: parameter for parameter in steps.parameters}
    left: defaultdict[str, list[Fate]] = defaultdict(list)
    for fate in fates.of("unoptimized"):
        if not _spared(fate.parameter, declared):
            left[known[fate.parameter].model].append(fate)
    for model, some in left.items():
        mine = {each.name for each in steps.parameters if each.model == model and each.requires_grad}
        optimizer = max(steps.optimizers, key=lambda each: _held(each, mine))
        explicit = any(known[fate.parameter].explicit for fate in some)
        held = _held(optimizer, mine)
        minority = 2 * len(some) < len(mine) and not optimizer.filtered and held > 0
        certain = explicit or minority or _idle(steps)
        twin = _twin(steps.optimizers) if not held else None
        optimizer = twin or optimizer
        told = Cluster(tuple(replace(fate, line=optimizer.line or fate.line, certain=certain) for fate in some))
        why = f": {optimizer.name or 'the optimizer'} holds {held} of {len(mine)} trainable tensors" if held else ""
        why = f": {optimizer.name} holds the same parameters as another optimizer" if twin else why
        yield told.told(
            f"{told.title} got gradient in {fates.steps} steps, and no optimizer holds {told.them}{why}",
            f"hand {told.them} to the optimizer, or freeze {told.them} with requires_grad_(False)",
        )


def _spared(name: str, declared: Declared) -> bool:
    """Declared untouched, or left out of what is declared to train."""
    trains = frozenset[str]().union(*declared.trains.values())
    return any(name in names for names in declared.untouched.values()) or bool(trains) and name not in trains


def _idle(steps: Steps) -> bool:
    """Whether optimizers were stepped, and nothing that any of them holds ever got gradient."""
    held = {name for each in steps.optimizers for group in each.groups for name in group.parameters}
    return bool(steps.of("update")) and not any(move.received for move in steps.movements if move.parameter in held)


def _held(optimizer: Optimizer, names: set[str]) -> int:
    return sum(name in names for group in optimizer.groups for name in group.parameters)


def _twin(optimizers: tuple[Optimizer, ...]) -> Optimizer | None:
    """The optimizer that holds just what one before it holds: a line copied, and not changed."""
    seen: set[frozenset[str]] = set()
    for each in optimizers:
        names = frozenset(name for group in each.groups for name in group.parameters)
        if names in seen:
            return each
        seen.add(names)
    return None
