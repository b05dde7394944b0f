"""Finds running statistics that move although everything around them is frozen.

## What it finds
A batch normalization in training mode whose own parameters, and those of the module it stands in, are all frozen: the
weights stay, and the statistics follow the new data. A suspicion; a defect if `untouched` names the statistics.

## Why it matters
A frozen backbone that drifts is not frozen: its features change under the head, and a checkpoint that saves only what
was trained does not bring them back. `requires_grad_(False)` does not stop statistics, `eval()` does, and a
`model.train()` on the whole model undoes that.

## Bad
```python
def training() -> smokestep.Training:
    class Tuned(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()).requires_grad_(False)
            self.head = nn.Linear(4, 2)

        def forward(self, inputs):
            return self.head(self.body(inputs))

    model = Tuned()
    optimizer = torch.optim.Adam(model.head.parameters())

    def step(batch):
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    class Tuned(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()).requires_grad_(False)
            self.head = nn.Linear(4, 2)

        def forward(self, inputs):
            return self.head(self.body(inputs))

    model = Tuned()
    optimizer = torch.optim.Adam(model.head.parameters())

    def step(batch):
        model.train()
        model.body.eval()
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the statistics are meant to adapt to the new data (AdaBN).

## Source
mmpretrain issue 702, and the row E2 of this project's catalogue: what is frozen must stay, statistics included.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.declared import Declared
from smokestep.evidence.fate import abridged
from smokestep.evidence.modes import Layer, Modes
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, Line, NotApplicable, Place, Severity


@check(severity="suspicion", since="0.1")
def drifting_statistics(modes: Modes, steps: Steps, declared: Declared) -> Iterator[Finding | NotApplicable]:
    layers = [layer for layer in modes.layers if layer.statistics]
    if not layers:
        yield NotApplicable("no normalization with running statistics ran")
        return
    broken = {
        name
        for step, names in declared.untouched.items()
        for name in names & declared.changed_statistics.get(step, frozenset())
    }
    averaged = {
        each.model for each in steps.parameters for event in steps.of("manual") if each.name in event.parameters
    }
    found: dict[tuple[bool, str, Line | None], list[Layer]] = {}
    for layer in layers:
        promised = not broken.isdisjoint(layer.statistics_names)
        parent, _, _ = layer.path.rpartition(".")
        around = [each.requires_grad for each in steps.parameters if parent and each.name.startswith(f"{parent}.")]
        frozen = bool(layer.affine or around) and not layer.trainable and not any(around)
        if promised or (any(layer.moved) and frozen and layer.model not in averaged):
            runs = [run for run in modes.runs if run.path == layer.path and run.training]
            line = modes.switch(layer.path, True) or (runs[-1].line if runs else layer.built)
            found.setdefault((promised, layer.model, line), []).append(layer)
    for (promised, _, line), those in found.items():
        yield Finding(
            f"the running statistics of {len(those)} layers moved although "
            + ("they are declared untouched" if promised else "the parameters around them are frozen"),
            where=Place.of(abridged([layer.path for layer in those]), line),
            cause=line,
            hint="call eval() on the frozen part after every model.train()",
            severity=Severity.DEFECT if promised else None,
            subjects=tuple(layer.path for layer in those),
            related=tuple((layer.built, "built here") for layer in those[:1] if layer.built),
            data={"layers": len(those)},
        )
