"""Finds a training that is not the same twice with one seed.

## What it finds
The training is built twice by its function, with every global generator seeded alike, and each makes one step. Losses
or trained parameters that differ: because a generator of its own is seeded by the system (named, where it was seen), or
because something depends on the order of a set, on the time, or on what is left over from the last run.

## Why it matters
A run that went wrong cannot be looked at again, and two variants cannot be compared: the difference between them may be
the seed's. `torch.manual_seed` reaches no `np.random.default_rng()`.

## Bad
```python
import numpy as np

def training():
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    noise = np.random.default_rng()

    def step(batch):
        optimizer.zero_grad()
        inputs = batch[0] + torch.from_numpy(0.1 * noise.standard_normal((8, 6))).float()
        F.cross_entropy(model(inputs), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
import numpy as np

def training():
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    noise = np.random.default_rng(0)

    def step(batch):
        optimizer.zero_grad()
        inputs = batch[0] + torch.from_numpy(0.1 * noise.standard_normal((8, 6))).float()
        F.cross_entropy(model(inputs), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When a seed of the system's is wanted, and written to the log.

## Source
PyTorch's documentation, "Reproducibility": other libraries' generators, and NumPy's own, have to be seeded, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.roundtrip import Rebuilt
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1", on_request=True)
def irreproducible(rebuilt: Rebuilt) -> Iterator[Said]:
    if rebuilt.skipped:
        yield NotApplicable(rebuilt.skipped)
        return
    if not rebuilt.losses and not rebuilt.parameters:
        return
    call, line = next(iter(rebuilt.unseeded), ("", None))
    if rebuilt.losses:
        what = "the losses {:.9g} and {:.9g}".format(*rebuilt.losses)
    else:
        what = f"other values of {', '.join(rebuilt.parameters)}"
    why = f"; {call} takes its seed from the system" if call else ""
    if not why and rebuilt.generators:
        why = f"; {', '.join(rebuilt.generators)} is a generator that is not seeded"
    if not why and rebuilt.tensors:
        why = f"; {', '.join(rebuilt.tensors)} differ before the step already"
    yield Finding(
        f"built twice with one seed, the training gives {what}{why}",
        where=Place.of(next(iter((*rebuilt.generators, *rebuilt.tensors, *rebuilt.parameters)), None), line),
        cause=line,
        hint="give every generator a seed, and take nothing from the clock or from the order of a set",
        data={"unseeded": call, "differ": len(rebuilt.parameters)},
    )
