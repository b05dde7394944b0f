"""Finds a training that does not learn even a few samples by heart.

## What it finds
The step, repeated on at most 8 samples of its own batch, moves the weights, and the loss comes to rest above half of
its first value. Judged are losses that are known to reach 0 there: a recognised one, alone, on targets from the batch.
A loss that still falls, or a learning rate that a scheduler changes, leaves the verdict open.

## Why it matters
Every network with weights to spare can learn a few samples by heart. One that cannot is cut off from its input or its
target somewhere, or is updated wrongly; more data will not help.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 8))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        scores = F.normalize(model(x), dim=1)
        loss = F.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.arange(8)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 8))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        scores = F.normalize(model(x), dim=1) / 0.05
        loss = F.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.arange(8)))
```

## When to allow it
The model is kept from memorising on purpose: by a bottleneck, by bounded scores, by samples with contradicting targets.

## Source
Karpathy, "A Recipe for Training Neural Networks" (2019): "overfit a single batch of only a few examples".
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.learning import Learning
from smokestep.findings import Finding, NotApplicable, Open, Place


# `share` of the first loss: "near 0" would accuse slow learners. `falling`: by less than this share from one quarter of
# the course to the next is at rest. `moved`: weights that came less far than this were not really tried. `solved`: a
# first loss below this has nothing left to learn. All four chosen on the healthy trainings of tests/zoo.
@check(severity="suspicion", since="0.1", on_request=True)
def cannot_overfit(
    learning: Learning, *, share: float = 0.5, falling: float = 0.002, moved: float = 0.05, solved: float = 1e-3
) -> Iterator[Said]:
    course, first, last = learning.course, learning.course.first, learning.course.last
    told = f"in {len(course.losses)} steps the loss went from {first:.4g} to {last:.4g}"
    if learning.why or learning.crowded or course.error:
        yield NotApplicable(learning.why or learning.crowded or f"the repeated step raised {course.error}")
    elif first <= solved:
        yield NotApplicable(f"its loss is {first:.3g} from the beginning")
    elif last <= share * first or not math.isfinite(last):
        return
    elif course.late or course.falling(falling):
        yield Open(f"{told}, and it may still be falling")
    elif learning.scheduled:
        yield Open(f"{told}, with a learning rate that a scheduler holds low, maybe")
    elif course.moved < moved:
        yield Open(f"{told}, but the weights moved by {course.moved:.1e} of their size only")
    elif last <= 4 * first:  # beyond that it is another fault: see `diverges`
        batch = f"{learning.samples} samples" if learning.samples else "its batch"
        yield Finding(
            message=f"the step repeated on {batch} does not learn them: {told} and came to rest, while the weights "
            f"moved by {course.moved:.0%} of their size",
            where=Place.of(None, learning.line),
            cause=learning.line,
            hint="look at what lies between the model and the loss (a second softmax, a clamp, a wrong dimension), at "
            "the order of samples and targets, then at the learning rate and at clipped gradients",
            data={"first": first, "last": last, "steps": len(course.losses), "moved": course.moved},
        )
