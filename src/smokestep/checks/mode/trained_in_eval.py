"""Finds a model that is trained in evaluation mode although dropout in it would then do nothing.

## What it finds
A model with dropout that trained in training mode in its first step and in evaluation mode ever after: the switch
before an evaluation was not undone. A model whose dropout layers (with a probability above 0) ran in evaluation mode
in every training step is a suspicion, since some fine-tuning wants that.

## Why it matters
The regularization is in the code, in the configuration and in the paper, and not in the training. Models from a hub
often come in evaluation mode.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            print("accuracy", (model(inputs).argmax(1) == targets).float().mean())

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            print("accuracy", (model(inputs).argmax(1) == targets).float().mean())

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When a model is fine-tuned without its dropout on purpose.

## Source
Hugging Face Transformers: "The model is set in evaluation mode by default" after `from_pretrained`.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.fate import abridged
from smokestep.evidence.modes import Modes
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def trained_in_eval(modes: Modes, steps: Steps) -> Iterator[Finding | NotApplicable]:
    dropouts = [layer for layer in modes.layers if layer.kind == "dropout" and layer.probability]
    if not dropouts:
        yield NotApplicable("no dropout with a probability above 0 ran")
        return
    trained = {move.parameter for move in steps.movements if move.gradient is not None}
    living = {each.model for each in steps.parameters if each.name in trained}
    for root in (layer for layer in modes.layers if layer.kind == "root" and layer.model in living):
        habit = modes.habit(root.path)
        own = [layer for layer in dropouts if layer.model == root.model and modes.habit(layer.path) == habit]
        if habit not in ("eval", "left") or not own:
            continue
        line = modes.switch(root.path, False) or modes.trained(root.path)[-1].line
        if habit == "left":
            what = "trained in training mode in the first step, and in evaluation mode in every step after it"
        else:
            what = "trained in evaluation mode in every step"
        yield Finding(
            f"{root.class_name} was {what}: its dropout does nothing",
            where=Place.of(root.path or root.model, line),
            cause=line,
            hint="call model.train() before the training step, and again after each evaluation",
            severity=None if habit == "left" else Severity.SUSPICION,
            related=((own[0].built, f"{abridged([each.path for each in own])}"),) if own[0].built else (),
            data={"dropouts": len(own)},
        )
