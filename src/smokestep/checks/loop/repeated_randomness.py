"""Finds a step that seeds a random generator anew each time, so that every step draws the same random numbers.

## What it finds
A global generator (of Python, NumPy or torch) from which the very same numbers were drawn in each step after the first,
up to the backward pass: it moved from the same states to the same states, bit for bit. What is drawn with gradients
switched off (an evaluation), and whatever runs between keeping a state and putting it back (`torch.random.fork_rng`),
does not count. Steps that draw more numbers one time than another are not told.

## Why it matters
Dropout leaves out the same units for ever, so that these never train and the rest is never regularised; noise is a
constant that the network learns; augmentation shows one variant of each sample. The loss falls all the same.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        torch.manual_seed(0)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 8), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 8), torch.randint(0, 2, (8,))))
```

## When to allow it
When the numbers are meant to be the same: a random projection that is not stored, a test that fits one batch.

## Source
PyTorch, "Reproducibility": a seed is set once, at the beginning of a program.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.randomness import Randomness, Turn
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def repeated_randomness(randomness: Randomness) -> Iterator[Finding | NotApplicable]:
    streams = [stream for stream in randomness.streams() if len(stream) > 1]
    if not streams:
        yield NotApplicable("random numbers can be compared from the third step with a backward pass on")
    repeated: dict[tuple[Line | None, str], list[Turn]] = {}
    for stream in streams:
        if stream[0].draws and len({turn.draws for turn in stream}) == 1:
            repeated.setdefault((stream[0].line, stream[0].name), []).append(stream[0])
    for (line, name), turns in repeated.items():
        generators = [turn.generator for turn in turns]
        owner = " and ".join(f"{each}'s generator" for each in generators)
        yield Finding(
            f"every step{f' `{name}`' if name else ''} draws the same random numbers: "
            f"{owner} {'is' if len(generators) == 1 else 'are'} put into the same state each time",
            where=Place.of(", ".join(generators), line),
            cause=line,
            hint="seed once, before the loop; for an evaluation that must repeat itself, use a torch.Generator "
            "of its own, or seed inside `with torch.random.fork_rng():`",
            subjects=tuple(generators),
            data={"steps": max(len(stream) for stream in streams)},
        )
