"""Finds a loss written by hand that is larger for right answers than for wrong ones.

## What it finds
The model is made to give the right answer to every sample, and the loss is taken; then the same answers meet the labels
moved by a row. A loss that is larger the first time, in whatever form the right answer may have (the label itself,
scores, probabilities), rewards being wrong. Where other numbers of the batch weigh the answers (advantages, costs), a
right answer may be a bad one, and nothing is told.

## Why it matters
A similarity, an overlap or a log-likelihood was returned where one minus it, or its negative, was meant. The optimizer
makes it as small as possible; the number falls, and looks like progress.

## Bad
```python
def overlap(prediction, mask):
    return (2 * (prediction * mask).sum() + 1) / (prediction.sum() + mask.sum() + 1)

def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 9), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, mask = batch
        optimizer.zero_grad()
        loss = overlap(model(x), mask)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 2, (8, 9)).float()))
```

## Good
```python
def overlap(prediction, mask):
    return (2 * (prediction * mask).sum() + 1) / (prediction.sum() + mask.sum() + 1)

def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 9), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, mask = batch
        optimizer.zero_grad()
        loss = 1 - overlap(model(x), mask)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 2, (8, 9)).float()))
```

## When to allow it
When the model answers with distances or energies, small for what is right; or when it is to unlearn, or to deceive.

## Source
Metamorphic checks of the loss: TheDeepChecker (Ben Braiek and Khomh, 2023).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.relations import Relations
from smokestep.findings import Finding, NotApplicable, Place


# `margin`: by how much of itself the loss must be larger, far above what rounding or a penalty beside it can do.
@check(severity="suspicion", since="0.1")
def inverted_loss(relations: Relations, *, margin: float = 1e-3) -> Iterator[Said]:
    judged = [each for each in relations.steps if each.right]
    if not judged:
        why = "no loss written by hand compares one model's only answer with labels of a known form"
        yield NotApplicable(relations.why or next((each.skipped for each in relations.steps if each.skipped), why))
    for each in judged:
        pairs = list(zip(each.right, each.wrong, strict=True))
        if not all(right > wrong + margin * max(abs(right), abs(wrong), abs(each.loss)) for right, wrong in pairs):
            continue
        right, wrong = pairs[0]
        line = each.root.user_line if each.root else None
        yield Finding(
            message=f"the loss is {right:.4g} when the model answers every sample right, and {wrong:.4g} when the same "
            "answers belong to other samples: it is smaller for wrong ones",
            where=Place.of(None, line),
            cause=line,
            hint="minimise one minus a similarity, or the negative of a log-likelihood",
            data={"right": list(each.right), "wrong": list(each.wrong)},
        )
