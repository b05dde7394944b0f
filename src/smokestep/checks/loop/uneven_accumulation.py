"""Finds accumulated micro-batches that weigh the same although their losses are means over unequal numbers of targets.

## What it finds
Several mean losses added up for one update, whose micro-batches hold clearly different numbers of targets that count
(padding and ignored positions left out): a target in the smallest weighs several times as much as one in the largest.

## Why it matters
The mean of means is not the mean. Tokens of short texts are over-weighted, and the same data in one batch would give
another gradient and another loss. The trainers of the most used library for text had this fault until late 2024.

## Bad
```python
def training():
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    texts = [torch.randint(0, 9, (2, length)) for length in (12, 3)]
    def step(texts):
        optimizer.zero_grad()
        for ids in texts:
            loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
            (loss / len(texts)).backward()
        optimizer.step()
    return smokestep.Training(step, texts)
```

## Good
```python
def training():
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    texts = [torch.randint(0, 9, (2, length)) for length in (12, 3)]
    def step(texts):
        optimizer.zero_grad()
        count = sum(ids[:, 1:].numel() for ids in texts)
        for ids in texts:
            loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="sum")
            (loss / count).backward()
        optimizer.step()
    return smokestep.Training(step, texts)
```

## When to allow it
When every micro-batch is meant to weigh the same, whatever it holds: one text, one user, one task.

## Source
Unsloth and Hugging Face, "Fixing Gradient Accumulation" (October 2024).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.accumulation import Accumulation, Group
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


# `ratio`: a last micro-batch with two samples where the others have three is no more uneven than this.
@check(severity="suspicion", since="0.1")
def uneven_accumulation(accumulation: Accumulation, steps: Steps, *, ratio: float = 1.5) -> Iterator[Said]:
    groups = [group for group in accumulation.groups if group.micros and _means(group)]
    if not groups or steps.own_loop:
        reasons = [group.skipped for group in accumulation.groups if group.skipped]
        yield NotApplicable(reasons[0] if reasons else "no update uses more than one backward pass of a mean loss")
        return
    told: set[str] = set()
    for group in groups:
        weights = [abs(each.factor) / each.count for each in group.micros if each.count]
        counts = [each.count or 0 for each in group.micros]
        if not weights or group.optimizer in told or max(weights) <= ratio * min(weights):
            continue
        told.add(group.optimizer)
        first = group.micros[0]
        yield Finding(
            message=f"micro-batches of {', '.join(map(str, counts))} targets are averaged each by itself and added up: "
            f"a target in the smallest weighs {max(weights) / min(weights):.1f} times as much as one in the largest",
            where=Place.of(group.optimizer, first.loss_line),
            cause=first.loss_line,
            hint='sum the loss (reduction="sum") and divide it by the number of targets in all micro-batches together',
            related=((first.line, "backward is called here"),) if first.line else (),
            subjects=(group.optimizer,),
            data={"targets": counts, "weights": [each.factor for each in group.micros]},
        )


def _means(group: Group) -> bool:
    return all(each.reduction == "mean" and each.count is not None for each in group.micros)
