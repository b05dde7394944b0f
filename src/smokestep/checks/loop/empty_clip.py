"""Finds gradient clipping that is given an iterator of parameters which has nothing left, and so clips nothing.

## What it finds
`clip_grad_norm_(params, …)` where `params` is an iterator (`model.parameters()` kept in a variable, a `filter`) that
has already given its parameters: to the optimizer, or to an earlier clipping. An iterator gives them once.

## Why it matters
The optimizer holds its parameters and trains them. Only the clipping is gone, and with it the limit that was to keep
the run stable; the norm that it returns for the log is 0. PyTorch warns of generators, and not of `filter` or `map`.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    trainable = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = torch.optim.SGD(trainable, lr=0.1)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.1)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When the clipping is to do nothing after its first call. Better to say so with an `if`.

## Source
PyTorch, `torch.nn.utils.clip_grad_norm_`: "`parameters` is an empty generator, no gradient clipping will occur."
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.steps import Event, Steps
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="defect", since="0.1", explains=("misplaced-clip",))
def empty_clip(steps: Steps) -> Iterator[Finding | NotApplicable]:
    clips = steps.of("clip")
    if not clips:
        yield NotApplicable("no gradient was clipped")
        return
    empty: dict[tuple[Line | None, str], list[Event]] = {}
    for event in clips:
        if name := event.detail.get("exhausted"):
            empty.setdefault((event.line, str(name)), []).append(event)
    for (line, name), those in empty.items():
        calls = sum(event.line == line for event in clips)
        yield Finding(
            f"`{name}` is an iterator that had given all its parameters before: "
            f"{len(those)} of {calls} calls clipped nothing",
            where=Place.of(None, line),
            cause=line,
            hint=f"make it a list where it is assigned: {name.rpartition('.')[2]} = list(…)",
            data={"calls": calls, "empty": len(those)},
        )
