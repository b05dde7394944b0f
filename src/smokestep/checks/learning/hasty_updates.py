"""Finds updates that rewrite most weights of the model, step after step.

## What it finds
In two steps in a row more than half of the weight matrices move by more than 0.3 of their largest entry. Biases, gains
and whatever began at 0 do not count.

## Why it matters
After such a step little is left of what the last one found. The loss may still fall for a while, on the easy part of
the task, and training ends in noise, dead units or NaN.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 8), torch.randn(8, 2)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 8), torch.randn(8, 2)))
```

## When to allow it
The optimizer solves the model in a few steps (LBFGS, second order), or the weights begin near 0 on purpose.

## Source
Karpathy, CS231n notes, "Ratio of weights:updates": it "should be somewhere around 1e-3".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


# `share`: three hundred times the rule of thumb under Source. `tiny`: weights that begin below this begin at 0.
@check(severity="suspicion", since="0.1", on_request=True)
def hasty_updates(steps: Steps, *, share: float = 0.3, tiny: float = 1e-3) -> Iterator[Said]:
    first = {each.parameter: each.scale for each in reversed(steps.movements)}
    closures = {name for each in steps.optimizers if each.needs_closure for g in each.groups for name in g.parameters}
    matrices = {
        each.name
        for each in steps.parameters
        if len(each.shape) > 1 and first.get(each.name, 0.0) > tiny and each.name not in closures
    }
    moves = [move for move in steps.movements if move.parameter in matrices and move.rate is not None]
    if len({move.parameter for move in moves}) < 2:  # a linear model may well be solved in a few bold steps
        yield NotApplicable("no optimizer moved two weight matrices that did not begin at 0")
        return
    hasty = Counter(move.step for move in moves if move.update > share * move.scale)
    total = Counter(move.step for move in moves)
    steps_so = [step for step in sorted(total) if 2 * hasty[step] > total[step]]
    if not any(step + 1 in steps_so for step in steps_so):
        return
    worst = max((m for m in moves if m.step in steps_so and m.scale), key=lambda move: move.update / move.scale)
    line = next((event.line for event in steps.of("update") if event.step == worst.step), None)
    yield Finding(
        message=f"in {len(steps_so)} of {steps.count} steps {hasty[worst.step]} of {total[worst.step]} weight matrices "
        f"moved by more than {share:g} of their size ({worst.parameter} by {worst.update / worst.scale:.2g}); about "
        "1e-03 is usual",
        where=Place.of(None, line),
        cause=line,
        hint=f"take a hundredth of the learning rate ({worst.rate:g}); look at a loss that is summed and not averaged",
        subjects=tuple(sorted({m.parameter for m in moves if m.step in steps_so and m.update > share * m.scale})),
        data={"share": worst.update / worst.scale, "parameter": worst.parameter, "rate": worst.rate},
    )
