"""Finds a checkpoint of which `load_state_dict(strict=False)` loaded nothing at all.

## What it finds
A call with `strict=False` whose keys all have no place in the module (a prefix such as `module.` or `model.` too many
or too few), while the module has keys of its own, and nothing was loaded into it afterwards.

## Why it matters
With `strict=False` nothing is raised: the model that was to be fine-tuned starts from random weights, and trains.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    saved = {f"module.{name}": value for name, value in model.state_dict().items()}
    model.load_state_dict(saved, strict=False)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    saved = {f"module.{name}": value for name, value in model.state_dict().items()}
    model.load_state_dict({name.removeprefix("module."): value for name, value in saved.items()})
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When the state is offered to several modules, of which some have no part in it.

## Source
PyTorch's documentation of `Module.load_state_dict`: it gives the missing and the unexpected keys, for one to look at.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.loading import Loading
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def loose_loading(loading: Loading) -> Iterator[Said]:
    if not loading.loads:
        yield NotApplicable("nothing was loaded with strict=False")
    for load in loading.loads:
        if load.given and not load.matched and load.missing and not load.later:
            yield Finding(
                f"none of the {load.given} keys given to {load.module} has a place in it: nothing was loaded "
                f"(given `{load.unexpected}`, wanted `{load.missing}`)",
                where=Place.of(load.module, load.line),
                cause=load.line,
                hint="rename the keys, and load with strict=True; or look at the missing and unexpected keys it gives",
                severity=Severity.SUSPICION if load.line is None or load.line.installed else None,
                data={"given": load.given},
            )
