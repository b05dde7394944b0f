"""Finds gradients that are accumulated over micro-batches whose losses are not divided by their number, or twice.

## What it finds
Several micro-batches with a mean loss each, added up for one update, where the sum of their weights is not 1: nobody
divides the loss, so that the gradient is as many times too large; or the loop divides it and the trainer does so again.
An optimizer whose step does not depend on the size of the gradient (Adam without clipping) is left alone.

## Why it matters
The same data as one large batch would give another update. The learning rate grows with the number of micro-batches,
clipping cuts more, and weight decay counts less: settings found with one number of micro-batches fail with another.

## Bad
```python
def training():
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batches):
        optimizer.zero_grad()
        for x, y in batches:
            F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return smokestep.Training(step, [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(4)])
```

## Good
```python
def training():
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batches):
        optimizer.zero_grad()
        for x, y in batches:
            (F.cross_entropy(model(x), y) / len(batches)).backward()
        optimizer.step()
    return smokestep.Training(step, [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(4)])
```

## When to allow it
When the sum is meant (one loss a task, tasks added up), or the learning rate was chosen for it.

## Source
PyTorch, "Automatic Mixed Precision examples", Gradient accumulation: `loss = loss / iters_to_accumulate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose

from smokestep.check import Said, check
from smokestep.evidence.accumulation import Accumulation, Group
from smokestep.evidence.steps import Optimizer, Steps
from smokestep.findings import Finding, NotApplicable, Place

# Their step is a ratio of gradients, so that a common factor drops out (all but for eps).
INDIFFERENT = frozenset(
    "Adam AdamW NAdam RAdam Adamax Adagrad Adadelta RMSprop Rprop SparseAdam Lion Adafactor".split()
)


@check(severity="suspicion", since="0.1")
def misscaled_accumulation(accumulation: Accumulation, steps: Steps) -> Iterator[Said]:
    groups = [group for group in accumulation.groups if group.micros]
    if not groups or steps.own_loop:
        reasons = [group.skipped for group in accumulation.groups]
        yield NotApplicable(reasons[0] if reasons else "no update uses more than one backward pass")
        return
    told: set[str] = set()
    for group in groups:
        optimizer = next(each for each in steps.optimizers if each.name == group.optimizer)
        what = _wrong(group)
        if not what or group.optimizer in told:
            continue
        if _indifferent(optimizer) and not group.clipped:
            yield NotApplicable(f"the step of {optimizer.kind} does not depend on the size of the gradient")
            continue
        told.add(group.optimizer)
        first = group.micros[0]
        yield Finding(
            message=f"{what}: the gradient of {len(group.micros)} micro-batches is "
            f"{sum(each.factor for each in group.micros):.4g} times that of one batch of the same samples",
            where=Place.of(group.optimizer, first.line),
            cause=first.line,
            hint=f"multiply the loss of each micro-batch by 1/{len(group.micros)}, once",
            related=((first.loss_line, "a mean over one micro-batch"),) if first.loss_line else (),
            subjects=(group.optimizer,),
            data={"micro-batches": len(group.micros), "weights": [each.factor for each in group.micros]},
        )


def _wrong(group: Group) -> str:
    k, factors = len(group.micros), [each.factor for each in group.micros]
    if any(each.reduction != "mean" for each in group.micros):
        return ""
    if all(factor == 1 for factor in factors) and not any(each.divisors for each in group.micros):
        return "mean losses are added up without being divided"
    if all(
        isclose(f, 1 / k**2, rel_tol=1e-6) and sum(d == k for d in m.divisors) == 2
        for f, m in zip(factors, group.micros, strict=True)
    ):
        return f"every loss is divided by {k} twice"
    return ""


def _indifferent(optimizer: Optimizer) -> bool:
    """Weight decay that is added to the gradient is no part of that ratio: it counts less, the larger the gradient."""
    decays = any(group.weight_decay for group in optimizer.groups)
    return optimizer.kind in INDIFFERENT and (optimizer.kind in ("AdamW", "Lion", "Adafactor") or not decays)
