"""Finds an output that depends on the place of a sample in the batch.

## What it finds
A few samples are handed over in reverse order, and their outputs do not come back reversed, although no sample
influences another. The line is the first operation that treats equal samples unequally. A defect where the model also
runs on fewer samples, so that no sample owns a row of it, and the entries of another dimension meet, as those of time
do; else a suspicion: a model may hold a row for each sample, the rows may be one sequence, and experts may have room
for the first samples only.

## Why it matters
The network learns the order of the batch, which the next epoch shuffles. It happens when a positional encoding for
(time, batch, feature) is added to (batch, time, feature): no position is told, and every sample has its own offset.

## Bad
```python
class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(64, 1, 6))
    def forward(self, x):
        return x + self.table[: x.size(0)]

def training():
    model = nn.Sequential(Positions(), nn.Linear(6, 8), nn.ReLU(), nn.Flatten(), nn.Linear(40, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 5, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(1, 64, 6))
    def forward(self, x):
        return x + self.table[:, : x.size(1)]

def training():
    model = nn.Sequential(Positions(), nn.Linear(6, 8), nn.ReLU(), nn.Flatten(), nn.Linear(40, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 5, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When the rows of the batch have fixed places: one parallel environment or one text stream a row.

## Source
A network without such places is equivariant to the order of its batch: f(x[p]) = f(x)[p] for every permutation p.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.influence import Influence
from smokestep.evidence.trials import Touch
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def batch_order(influence: Influence) -> Iterator[Said]:
    for model in influence.models:
        if model.skipped or model.fewer:
            yield NotApplicable(f"{model.model}: {model.skipped or 'it wants its batch as it is'}")
        elif model.leaks:
            yield NotApplicable(f"{model.model}: its samples influence each other")
        elif model.order:
            stray = model.stray
            line = (stray.caller or stray.line) if stray else None
            certain = (
                stray is not None
                and not _rows_only(stray)
                and not model.routed
                and not model.timeless
                and not model.whole
                and not model.installed
                and not (line and line.installed)
            )
            at = f": `{stray.name}` gives unlike rows for alike samples" if stray else ""
            yield Finding(
                message=f"{model.picked} samples handed over in reverse order give other outputs{at}",
                where=Place.of(".".join(filter(None, (model.model, stray.module if stray else ""))), line),
                cause=line or model.line,
                hint="whatever is added or multiplied here must not have an entry for each row of the batch: "
                "which dimension is time, which the batch? (batch_dim=-1 declares that the rows are no samples)",
                severity=None if certain else Severity.SUSPICION,
                subjects=(model.model,),
                data={"picked": model.picked},
            )


def _rows_only(stray: Touch) -> bool:
    """There are rows of features, and nothing else could be time: they may be one sequence, or take turns in a role."""
    return bool(stray.reads) and all(sum(size > 1 for size in each.shape[:-1]) <= 1 for each in stray.reads)
