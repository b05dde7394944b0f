"""Finds two linear layers in a row with nothing between them that bends: together they are one linear layer.

## What it finds
A linear layer whose result only the next linear layer of the same module reads, past dropout and reshaping at most,
and which is wide enough that it narrows nothing: at least as many units as the pair has inputs, or as it has outputs.

## Why it matters
A product of two matrices is a matrix. The network is one layer shallower than its author believes, and pays for two.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 32), nn.Linear(32, 16)
        self.drop, self.out = nn.Dropout(0.1), nn.Linear(16, 3)

    def forward(self, x):
        h = self.drop(self.fc1(x))
        h = torch.relu(self.fc2(h))
        return self.out(h)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 8), torch.randint(0, 3, (8,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 32), nn.Linear(32, 16)
        self.drop, self.out = nn.Dropout(0.1), nn.Linear(16, 3)

    def forward(self, x):
        h = self.drop(torch.relu(self.fc1(x)))
        h = torch.relu(self.fc2(h))
        return self.out(h)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 8), torch.randint(0, 3, (8,))))
```

## When to allow it
The study of deep linear networks; a pair of which one is replaced or frozen later. A narrow pair (a low-rank
factorisation, a bottleneck), attention's projections, and a layer that begins as zero are not told.

## Source
UMLAUT (Schoop et al., 2021) and NeuraLint (Nikanjam et al., 2021): layers without a nonlinearity between them.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.steps import Steps
from smokestep.evidence.units import layer_of, straight_pairs
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def missing_nonlinearity(flow: Flow, steps: Steps) -> Iterator[Said]:
    if not any(layer_of(graph, op) for graph in flow.graphs for op in graph.ops if op.name == "linear"):
        yield NotApplicable("no linear layer was called")
        return
    known = {parameter.name: parameter for parameter in steps.parameters if parameter.requires_grad}
    zero = {move.parameter for move in steps.movements if move.scale == 0}
    told: set[tuple[str, str]] = set()
    for graph in flow.graphs:
        for one, other in straight_pairs(graph):
            first, second = known.get(one.weight), known.get(other.weight)
            if first is None or second is None or {one.weight, other.weight} & zero or one.weight == other.weight:
                continue
            together = first.owner.rpartition(".")[0] == second.owner.rpartition(".")[0] and first.owner != second.owner
            narrow = one.units < min(one.given, other.units)
            if narrow or not together or first.optimizers != second.optimizers or not first.optimizers:
                continue
            if (one.weight, other.weight) in told:
                continue
            told.add((one.weight, other.weight))
            yield Finding(
                f"{first.owner} ({one.given} to {one.units}) is followed by {second.owner} ({one.units} to "
                f"{other.units}) with no nonlinearity between: together they are one linear layer",
                where=Place.of(f"{first.owner}, {second.owner}", other.line),
                cause=other.line,
                hint="put an activation between them, or make them one layer",
                subjects=(one.weight, other.weight),
                related=((one.line, "the first of the two"),) if one.line and one.line != other.line else (),
            )
