"""Finds a `state_dict` that is kept for later without a copy, so that it goes on changing with the model.

## What it finds
A `state_dict` made in a step and still held after it, whose tensors are the memory of the parameters that the optimizer
updates. Only where the step is handed over: in a script, a variable may hold it by chance.

## Why it matters
`best = model.state_dict()` does not keep the best weights: it keeps the model. Loading it at the end changes nothing,
and the weights are those of the last step.

## Bad
```python
def training():
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    best = {"loss": float("inf"), "state": None}

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        if loss.item() < best["loss"]:
            best["loss"] = loss.item()
            best["state"] = model.state_dict()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
import copy

def training():
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    best = {"loss": float("inf"), "state": None}

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        if loss.item() < best["loss"]:
            best["loss"] = loss.item()
            best["state"] = copy.deepcopy(model.state_dict())

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When it is a view of the living weights on purpose.

## Source
PyTorch's tutorial "Saving and loading models": "`best_model_state = model.state_dict()` returns a reference to the
state and not its copy", and will keep getting updated.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.loading import Kept, Loading
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def aliased_checkpoint(loading: Loading) -> Iterator[Said]:
    if loading.live:
        yield NotApplicable("in a script that is watched, a variable may hold a state by chance")
        return
    lines: dict[Line | None, list[Kept]] = {}
    for each in loading.kept:
        if each.trains:
            lines.setdefault(each.line, []).append(each)
    for line, states in lines.items():
        yield Finding(
            f"the state of {states[0].module} is kept after the step, and its tensors are the parameters themselves: "
            "it changes with every update",
            where=Place.of(states[0].module, line),
            cause=line,
            hint="keep a copy: `copy.deepcopy(model.state_dict())`",
            data={"states": len(states), "tensors": states[0].tensors},
        )
