"""Finds a loss to which it makes no difference which label belongs to which sample.

## What it finds
The labels moved by a row against the inputs leave the loss as it is, and the code says why: they are averaged before
they meet the prediction, or the difference is averaged with its sign, so that errors cancel.

## Why it matters
The network learns the mean of the labels, or nothing at all: no gradient tells it which sample is which. The loss falls
as if all were well.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = (model(x).mean() - y.mean()) ** 2
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)))
```

## When to allow it
When only the whole is known, not the samples: moments that are matched, proportions of labels, distributions compared.

## Source
Metamorphic checks of the loss: TheDeepChecker (Ben Braiek and Khomh, 2023).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.relations import Relations
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def unpaired_target(relations: Relations) -> Iterator[Said]:
    judged = [each for each in relations.steps if not each.skipped]
    if not judged:
        yield NotApplicable(relations.why or next((each.skipped for each in relations.steps), "no step was seen"))
    for each in judged:
        where = each.reduced or each.linear
        if each.paired or where is None:
            continue
        line = where.user_line
        labels = ", ".join(f"`{name}`" for name in each.labels)
        why = (
            f"`{where.op}` takes the labels together before they meet the prediction"
            if each.reduced
            else "the labels are only added or subtracted, so that no gradient depends on them and errors cancel"
        )
        yield Finding(
            message=f"the loss stays {each.loss:.4g} when the labels ({labels}) are moved by a row "
            f"against the inputs: {why}",
            where=Place.of(None, line),
            cause=line,
            hint="compare sample by sample first, with a square or an absolute value, and average last",
            data={"loss": each.loss, "labels": list(each.labels)},
        )
