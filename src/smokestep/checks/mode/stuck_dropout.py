"""Finds dropout called as a function that does not ask whether the model is training.

## What it finds
`F.dropout(x)` inside a module, without `training=self.training` and under no condition on it: it drops in evaluation,
too, since the function's default is True. And any such call that was seen to drop while its module was in evaluation
mode. Also the reverse: `F.dropout(x, p, training=False)`, which never drops, in a module that is in training mode. A
suspicion: Monte Carlo dropout wants the first, and a dropout that is switched off for a while is the second.

## Why it matters
The evaluation is noisy and too low, two runs of it differ, and nothing in the training itself looks wrong.

## Bad
```python
def training() -> smokestep.Training:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 2)

        def forward(self, inputs):
            return self.last(F.dropout(F.relu(self.first(inputs)), 0.2))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 2)

        def forward(self, inputs):
            return self.last(F.dropout(F.relu(self.first(inputs)), 0.2, training=self.training))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the network is meant to be random in evaluation, too, or its dropout is switched off on purpose.

## Source
transformers issue 33844; Stack Overflow 53419474 ("Using Dropout in Pytorch: nn.Dropout vs. F.dropout").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.modes import FunctionalDropout, Modes
from smokestep.findings import Finding, Line, NotApplicable, Place

OFF = re.compile(r"dropout\w*\(.*(training\s*=\s*False|,\s*False\s*[,)])")


@check(severity="suspicion", since="0.1")
def stuck_dropout(modes: Modes) -> Iterator[Finding | NotApplicable]:
    calls = [call for call in modes.dropouts if call.module and call.probability > 0]
    if not calls:
        yield NotApplicable("no module calls dropout as a function")
        return
    yield from _never(calls)
    lines: dict[Line | None, list[FunctionalDropout]] = {}
    for call in calls:
        stuck = not call.passed and not call.guarded
        if call.active and (stuck or not call.module_training):
            lines.setdefault(call.line, []).append(call)
    for line, those in lines.items():
        seen = [call for call in those if not call.module_training]
        yield Finding(
            f"dropout drops {those[0].probability:g} of the entries whatever the mode: "
            + (
                "it did while its module was in evaluation mode"
                if seen
                else "`training` is not passed, and is True then"
            ),
            where=Place.of(those[0].module, line),
            cause=line,
            hint="pass training=self.training, or use nn.Dropout",
            subjects=(those[0].module,),
            data={"calls": len(those), "in_eval": len(seen)},
        )


def _never(calls: list[FunctionalDropout]) -> Iterator[Finding]:
    """Calls whose line says that they never drop, while their module trains."""
    for line in dict.fromkeys(call.line for call in calls if call.line and OFF.search(call.line.code)):
        those = [call for call in calls if call.line == line and call.module_training]
        if line and those and not line.installed and not any(call.active for call in those):
            yield Finding(
                f"dropout of {those[0].probability:g} never drops: `training` is False while its module trains",
                where=Place.of(those[0].module, line),
                cause=line,
                hint="pass training=self.training, or leave the dropout out",
                subjects=(those[0].module,),
                data={"calls": len(those), "in_eval": 0},
            )
