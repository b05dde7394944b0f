"""Finds an optimizer, scheduler or model whose `state_dict` is not enough to go on with the training as it was.

## What it finds
The training runs two steps and is saved: the `state_dict` of everything that has one. A training built afresh with the
same seed loads it, gets the same random numbers, and goes on; the parameters must be those of the uninterrupted run.
Where they are not, what is missing is put in place until they are. Left out by an optimizer or scheduler, which are
made to be resumed from their `state_dict`, it is a defect; by another object that has one, a suspicion.

## Why it matters
A resumed training that has lost a step count or a running average does not fail: it trains with another learning rate,
bias correction or target for a while, or for good.

## Bad
```python
class Decaying(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
        self.count = 0

    @torch.no_grad()
    def step(self):
        self.count += 1
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad, alpha=-group["lr"] / self.count)

def training():
    model = nn.Linear(6, 3)
    optimizer = Decaying(model.parameters(), lr=0.1)

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
class Decaying(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr, "count": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["count"] += 1
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad, alpha=-group["lr"] / group["count"])

def training():
    model = nn.Linear(6, 3)
    optimizer = Decaying(model.parameters(), lr=0.1)

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When it is saved by other means, beside the `state_dict`.

## Source
PyTorch's tutorial "Saving and loading a general checkpoint": the state of the optimizer belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.roundtrip import Resumed
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1", on_request=True)
def broken_resume(resumed: Resumed) -> Iterator[Said]:
    if resumed.skipped:
        yield NotApplicable(resumed.skipped)
    if resumed.loose:
        yield NotApplicable(f"{', '.join(resumed.loose)}: kept by the step itself, which is to save it")
    for lost in resumed.lost:
        yield Finding(
            f"resumed from its state_dicts, the training goes on differently (by {resumed.apart:.2g} after "
            f"{resumed.steps} steps): {lost.owner} keeps {lost.name}, and its state_dict leaves it out",
            where=Place.of(lost.name, lost.line),
            cause=lost.line,
            hint="register it as a buffer"
            if lost.kind == "module"
            else "keep it in `self.state` or in the parameter groups, or add it to `state_dict` and `load_state_dict`",
            severity=None if lost.kind == "optimizer" else Severity.SUSPICION,
            subjects=(lost.name,),
            data={"apart": resumed.apart, "steps": resumed.steps},
        )
