"""Finds a training loader that does not shuffle a data set whose labels are sorted, so that a batch holds one class.

## What it finds
A `DataLoader` in the data set's own order, iterated for training, over a data set that keeps whole-number labels
(`targets`, `labels`, the last tensor of a `TensorDataset`) in ascending order, where the first class fills the first
batch or more, and there are four batches or more. Folders of images, one a class, are read in just this order.

## Why it matters
The network learns to answer the class of the day: each batch pulls it to one class and undoes the last. The loss of
every batch falls quickly to nothing, and the accuracy afterwards is that of the last class.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = torch.utils.data.TensorDataset(torch.randn(160, 3), torch.arange(160) // 40)
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    batches = iter(loader)

    def step():
        inputs, targets = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step)
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = torch.utils.data.TensorDataset(torch.randn(160, 3), torch.arange(160) // 40)
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
    batches = iter(loader)

    def step():
        inputs, targets = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step)
```

## When to allow it
When classes are meant to come one after the other, as in continual learning.

## Source
Braiek and Khomh, "TheDeepChecker" (2023), and Keras' documentation of `fit`: training data are shuffled by default.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.feeds import Feeds
from smokestep.evidence.losses import Losses
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


# `least`: batches in an epoch; of fewer the order matters less.
@check(severity="suspicion", since="0.1")
def unshuffled_data(steps: Steps, feeds: Feeds, losses: Losses, *, least: int = 4) -> Iterator[Finding | NotApplicable]:
    feed = feeds.training(steps)
    if feed is None or feed.batches is None:
        yield NotApplicable("which data loader feeds the training is not known")
        return
    size = feed.batch_size or 0
    several = feed.classes is not None and feed.classes > 1 and size > 1
    targets = [group[0].target for group in losses.trained() if group[0].target and group[0].classes]
    mixed = any(each.shape == (size,) and each.low != each.high for each in targets)  # the data set does it itself
    if feed.sequential and several and feed.batches >= least and feed.alike >= size and not mixed:
        yield Finding(
            f"the labels of {feed.dataset} are sorted by class and the loader does not shuffle: "
            f"the first {feed.alike // size} of {feed.batches} batches hold one of {feed.classes} classes",
            where=Place.of(feed.dataset, feed.line),
            cause=feed.line,
            hint="shuffle=True",
            data={"classes": feed.classes, "batches": feed.batches},
        )
