"""Finds running statistics that move although everything around them is frozen.

## What it finds
Running statistics that `untouched` names and that moved: a defect. Undeclared, a batch normalization in training mode
whose own parameters, and those of the module it stands in, are all frozen and stay: a suspicion.

## Why it matters
A frozen backbone that drifts is not frozen: its features change under the head, and a checkpoint that saves only what
was trained does not bring them back. `requires_grad_(False)` does not stop statistics, `eval()` does, and a
`model.train()` on the whole model undoes that.

## Bad
```python
def training() -> smokestep.Training:
    body, head = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).requires_grad_(False), nn.Linear(4, 2)
    optimizer = torch.optim.Adam(head.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(head(body(batch[0])), batch[1]).backward()
        optimizer.step()

    batch = (torch.randn(8, 3), torch.randint(0, 2, (8,)))
    return smokestep.Training(step, batch, model={"body": body, "head": head}, untouched=body)
```

## Good
```python
def training() -> smokestep.Training:
    body, head = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).requires_grad_(False), nn.Linear(4, 2)
    body(torch.randn(8, 3))  # stands for loading trained statistics
    body.eval()
    optimizer = torch.optim.Adam(head.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(head(body(batch[0])), batch[1]).backward()
        optimizer.step()

    batch = (torch.randn(8, 3), torch.randint(0, 2, (8,)))
    return smokestep.Training(step, batch, model={"body": body, "head": head}, untouched=body)
```

## When to allow it
When the statistics are meant to adapt to the new data (AdaBN).

## Source
PyTorch Lightning pull request 15063 and mmdetection pull request 560: frozen normalizations whose statistics went on.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.declared import Declared
from smokestep.evidence.fate import abridged
from smokestep.evidence.modes import Layer, Modes
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, Line, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
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
    moved = {move.parameter for move in steps.movements if move.update}
    found: dict[tuple[bool, str, Line | None], list[Layer]] = {}
    for layer in layers:
        promised = not broken.isdisjoint(layer.statistics_names)
        parent, _, _ = layer.path.rpartition(".")
        around = {each.name: each for each in steps.parameters if parent and each.name.startswith(f"{parent}.")}
        trains = bool(layer.trainable) or any(each.requires_grad for each in around.values())
        frozen = not trains and bool({*layer.affine, *around}) and moved.isdisjoint({*layer.affine, *around})
        if promised or (any(layer.moved) and frozen):
            runs = [run for run in modes.runs if run.path == layer.path and run.training]
            line = modes.switch(layer.path, True) or (runs[-1].line if runs else layer.built)
            found.setdefault((promised, layer.model, line), []).append(layer)
    for (promised, _, line), those in found.items():
        yield Finding(
            "the running statistics moved although "
            + ("they are declared untouched" if promised else "the parameters around them are frozen"),
            where=Place.of(abridged([layer.path for layer in those]), line),
            cause=line,
            hint="call eval() on the frozen part after every model.train()",
            severity=None if promised else Severity.SUSPICION,
            subjects=tuple(layer.path for layer in those),
            related=tuple((layer.built, "built here") for layer in those[:1] if layer.built),
            data={"layers": len(those)},
        )
