"""Finds a training that goes as well when the content of its inputs is wiped out.

## What it finds
The step is repeated on a few samples, and again, from the same start, with every number that reaches the model put to 0
and every token to one and the same. Both courses come to rest at the same loss: what was learned are the frequencies of
the targets, and nothing of the input.

## Why it matters
The loss falls, which looks like learning. The input may have been scaled away, read from the wrong place, or squeezed
through a layer that is saturated or dead.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x / 255.0**2), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.rand(8, 4), torch.tensor([0, 0, 0, 0, 0, 1, 0, 0])))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.rand(8, 4), torch.tensor([0, 0, 0, 0, 0, 1, 0, 0])))
```

## When to allow it
The example batch holds inputs that say nothing about the targets and that the model cannot learn by heart.

## Source
Karpathy, "A Recipe for Training Neural Networks" (2019): the "input-independent baseline".
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.learning import DONE, Blind, Learning
from smokestep.findings import Finding, NotApplicable, Open, Place


# `learned`: the share of the first loss that must be gone before there is anything to compare. `alike`: both courses
# end within this share of that gain. `falling`: as in `cannot-overfit`. All chosen on the healthy trainings of
# tests/zoo.
@check(severity="suspicion", since="0.1", on_request=True, explains=("cannot-overfit",))
def learns_nothing_from_input(
    learning: Learning, blind: Blind, *, learned: float = 0.1, alike: float = 0.1, falling: float = 0.002
) -> Iterator[Said]:
    course, first, last = learning.course, learning.course.first, learning.course.last
    if why := learning.why or learning.crowded or blind.why or course.error or blind.course.error:
        yield NotApplicable(why)
        return
    gain = first - last
    if not gain >= learned * first:
        yield NotApplicable(f"the loss went from {first:.4g} to {last:.4g} only: there is nothing to compare")
    elif blind.course.last <= 2 * DONE * first:
        yield NotApplicable("its targets can be told without any input")
    elif course.late or blind.course.late:
        yield Open("the repeated steps took too long")
    elif blind.course.last - last <= alike * gain:
        if course.falling(falling) or blind.course.falling(falling):
            yield Open("with and without the content of the input the loss falls alike so far, and is still falling")
            return
        yield Finding(
            message=f"the loss comes to rest at {last:.4g}, and at {blind.course.last:.4g} when the content of "
            f"{', '.join(blind.wiped)} is wiped out: nothing was learned from it",
            where=Place.of(None, learning.line),
            cause=learning.line,
            hint="look at what becomes of the input before the first layer (scaled twice, cast to whole numbers, the "
            "wrong tensor), then for a layer that is saturated or dead",
            subjects=blind.wiped,
            data={"first": first, "last": last, "blind": blind.course.last, "steps": len(course.losses)},
        )
