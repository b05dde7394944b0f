"""Finds samples of the batch that no loss reads: another input and another label in their place change nothing.

## What it finds
The first or the last sample of the batch, input and label, exchanged for something else: the loss stays exactly as it
is, whichever sample stands there, and the line that picks the others is known.

## Why it matters
Part of every batch, often all but one sample, is paid for and not learned from. It comes from an index that was meant
for the outputs of the model and takes a row of the batch instead, or from a range that ends one too early.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x)[0], y[0])
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## When to allow it
When rows of the batch are held out on purpose.

## Source
Metamorphic checks of the loss: TheDeepChecker (Ben Braiek and Khomh, 2023).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.relations import Relations
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def unread_samples(relations: Relations) -> Iterator[Said]:
    judged = [each for each in relations.steps if not each.skipped]
    if not judged:
        yield NotApplicable(relations.why or next((each.skipped for each in relations.steps), "no step was seen"))
    for each in judged:
        if not each.unread or each.picked is None:
            continue
        line = each.picked.user_line
        which = " and ".join("first" if row == 0 else "last" for row in each.unread)
        yield Finding(
            message=f"the {which} of {each.count} samples never reaches the loss: with another input and another label "
            f"there it stays {each.loss:.4g}; part of the labels is picked here",
            where=Place.of(None, line),
            cause=line,
            hint="take the whole batch; an index into what the model returns must not be one into the samples",
            data={"loss": each.loss, "unread": list(each.unread), "samples": each.count},
        )
