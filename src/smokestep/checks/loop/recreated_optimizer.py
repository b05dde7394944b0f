"""Finds an optimizer that is made anew for every update, so that what it remembers of earlier gradients is always lost.

## What it finds
Three or more optimizers made one after the other on the same line for the same parameters. Each made a single update,
began without memory, and left with some (momentum, Adam's averages) that no update ever used. Plain SGD remembers
nothing, and parameters that are put back between two updates have no past that an optimizer should know.

## Why it matters
Momentum never builds up, and each update of Adam is its first one: every weight moves by the learning rate, whichever
way its gradient points and however small that is. It trains, only worse, and nothing says so.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)

    def step(batch):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When each call of the step is a training of its own, such as one round of a client that makes a single update.

## Source
Kingma and Ba, "Adam" (2015), section 2.1: the first step of Adam has the size of the learning rate in every entry.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.steps import Event, Optimizer, Steps
from smokestep.findings import Finding, Line, NotApplicable, Place


# `least`: so many in a row; two optimizers of one update each may be two phases.
@check(severity="defect", since="0.1")
def recreated_optimizer(steps: Steps, *, least: int = 3) -> Iterator[Finding | NotApplicable]:
    updates = {each.name: [e for e in steps.of("update") if e.subject == each.name] for each in steps.optimizers}
    if not any(updates.values()):
        yield NotApplicable("no optimizer was stepped")
        return
    alike: dict[tuple[Line | None, str, frozenset[str]], list[Optimizer]] = {}
    for each in steps.optimizers:
        keeps = any(group.betas == () or any(group.betas) for group in each.groups)  # betas of 0 keep no average
        # L-BFGS uses what it keeps within one step.
        if each.born is not None and updates[each.name] and keeps and not each.needs_closure:
            held = frozenset(name for group in each.groups for name in group.parameters)
            alike.setdefault((each.line, each.kind, held), []).append(each)
    written = steps.of("manual")
    for (_, _, held), those in alike.items():
        made = [event for each in those for event in updates[each.name]]
        alone = all(len(updates[each.name]) == 1 and _forgot(updates[each.name][0]) for each in those)
        later = [(each.born or 0) > before.index for each, before in zip(those[1:], made, strict=False)]
        first, last, line = those[0], made[-1], those[0].line
        back = any(made[0].index < e.index < last.index and held.intersection(e.parameters) for e in written)
        if len(those) >= least and alone and all(later) and not back:
            yield Finding(
                f"{first.kind} was made anew for each of {len(those)} updates: what it keeps of earlier gradients "
                "was never used",
                where=Place.of(first.name, line),
                cause=line,
                hint="make the optimizer once, before the loop",
                related=((last.line, "its only update"),) if last.line else (),
                data={"optimizers": len(those)},
            )


def _forgot(update: Event) -> bool:
    """It began with nothing and ended with something to remember."""
    return not update.detail.get("state", True) and bool(update.detail.get("kept"))
