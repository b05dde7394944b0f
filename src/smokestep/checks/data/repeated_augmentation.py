"""Finds a data loader whose workers each get the same random generator, and so repeat each other's random numbers.

## What it finds
A loader with two or more workers whose data set (or a transform or `collate_fn` of it) draws from a generator of its
own: `np.random.default_rng`, `RandomState`, `random.Random`, `torch.Generator`. Two copies were asked for a sample,
as two workers would ask: their generators went from the same state to the same state. Those that are seeded from the
worker or from the sample's index are told apart by that; with a `worker_init_fn`, or an iterable data set, nothing is
said. The global generators of Python, NumPy and torch are seeded in each worker by torch itself.

## Why it matters
Every worker augments its first sample as the others do theirs, its second likewise; and as the copies are made anew
from the same original, so does every epoch, unless the workers persist.

## Bad
```python
import numpy as np

class Noisy(torch.utils.data.Dataset):
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return 64

    def __getitem__(self, index):
        return torch.full((4,), index / 64) + torch.from_numpy(self.rng.normal(size=4)).float()

def training() -> smokestep.Training:
    model = nn.Linear(4, 4)
    optimizer = torch.optim.Adam(model.parameters())
    loader = torch.utils.data.DataLoader(Noisy(), batch_size=8, num_workers=2)

    def step(inputs):
        optimizer.zero_grad()
        F.mse_loss(model(inputs), inputs).backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(8, 4))  # in the run: for inputs in loader: step(inputs)
```

## Good
```python
import numpy as np

class Noisy(torch.utils.data.Dataset):
    def __init__(self):
        self.rng = None

    def __len__(self):
        return 64

    def __getitem__(self, index):
        if self.rng is None:
            self.rng = np.random.default_rng(torch.initial_seed())  # another in each worker and epoch
        return torch.full((4,), index / 64) + torch.from_numpy(self.rng.normal(size=4)).float()

def training() -> smokestep.Training:
    model = nn.Linear(4, 4)
    optimizer = torch.optim.Adam(model.parameters())
    loader = torch.utils.data.DataLoader(Noisy(), batch_size=8, num_workers=2)

    def step(inputs):
        optimizer.zero_grad()
        F.mse_loss(model(inputs), inputs).backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(8, 4))
```

## When to allow it
When what is drawn does not change the sample, or repetition does no harm, as in a fixed test set.

## Source
PyTorch, "Randomness in multi-process data loading"; torch 2.13, `torch/utils/data/_utils/worker.py`, `_worker_loop`.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.loaders import Loaders
from smokestep.findings import Finding, NotApplicable, Open, Place


@check(severity="suspicion", since="0.1", partial=True)
def repeated_augmentation(loaders: Loaders) -> Iterator[Finding | NotApplicable | Open]:
    if not loaders.loaders:
        yield NotApplicable("no data loader with two or more workers was seen")
    told: set[object] = set()
    for loader in loaders.loaders:
        if loader.unknown:
            yield Open(f"the data loader of {loader.dataset}: {loader.unknown}")
        for owned in loader.generators:
            path, line = f"{loader.dataset}.{owned.path}", owned.line or loader.line
            if not owned.repeats or (path, line) in told:
                continue
            told.add((path, line))
            epochs = "" if loader.persistent else ", and each epoch those of the last"
            yield Finding(
                f"each of the {loader.workers} workers gets a copy of the {owned.kind} {path} in the same state: "
                f"they repeat each other's random numbers{epochs}",
                where=Place.of(path, line),
                cause=line,
                hint="make it in the worker, with torch.initial_seed(): that is another in each worker and epoch",
                related=((loader.line, f"the {loader.workers} workers"),) if loader.line and owned.line else (),
                subjects=(path,),
                data={"workers": loader.workers, "persistent": loader.persistent},
            )
