"""Finds dropout and normalization that stay in training mode when the model is put into evaluation mode.

## What it finds
A layer that runs as part of the model but is kept where `Module.eval()` does not look, in a plain list or dict, so that
it is still in training mode after `model.eval()`. Dropout or normalization that is kept so beside its like: a defect.
Within a network that may be hidden on purpose, or in a layer of one's own that reads `self.training`: a suspicion.
Frozen networks are left alone.

## Why it matters
Every evaluation drops at random, or normalizes by its own batch and moves the statistics. `eval()` says nothing about
what it did not find.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 3)])
        self.drops = [nn.Dropout(0.2) for _ in range(2)]

    def forward(self, x):
        for layer, drop in zip(self.layers, self.drops):
            x = layer(drop(x.tanh()))
        return x

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 3)])
        self.drops = nn.ModuleList([nn.Dropout(0.2) for _ in range(2)])

    def forward(self, x):
        for layer, drop in zip(self.layers, self.drops):
            x = layer(drop(x.tanh()))
        return x

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When the layer is meant to act in evaluation as in training.

## Source
PyTorch's documentation of `torch.nn.ModuleList`: modules in it "are properly registered", those in a list are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fate import abridged
from smokestep.evidence.switching import Switching, Unreached
from smokestep.findings import Finding, Line, NotApplicable, Place, Severity

DOES = {
    "dropout": "goes on dropping",
    "normalization": "goes on with the statistics of each batch, and moves its own",
    "own": "goes on as in training",
}
REGISTERS = {"list": "nn.ModuleList", "tuple": "nn.ModuleList", "dict": "nn.ModuleDict"}


@check(severity="defect", since="0.1", explains=("stuck-dropout", "evaluation-updates", "random-evaluation"))
def unreached_mode(switching: Switching) -> Iterator[Said]:
    if not switching.models:
        yield NotApplicable("no model was called")
    for model in switching.models:
        if model.skipped:
            yield NotApplicable(model.skipped)
        lines: dict[tuple[Line | None, str], list[Unreached]] = {}
        for layer in model.unreached:
            lines.setdefault((layer.line, layer.kind), []).append(layer)
        for (line, kind), layers in lines.items():
            holder = layers[0].holder
            kept = "a plain attribute" if holder == "attribute" else f"a plain {holder}"
            yield Finding(
                f"after `model.eval()` {layers[0].class_name} {DOES[kind]}: it is kept in {kept}, where `eval()` does "
                "not look",
                where=Place.of(abridged([each.name for each in layers]), line),
                cause=line,
                hint=f"keep it in {REGISTERS.get(holder, 'an attribute of the module')}",
                severity=None if all(each.plain for each in layers) else Severity.SUSPICION,
                data={"layers": len(layers)},
            )
