"""Finds parts of a training that begin as copies of each other and get the same gradients, so that they stay copies.

## What it finds
Two trainable parameters of different layers that began bit for bit the same (and not constant), got a gradient of the
same size at every recorded update, and are bit for bit the same after the last.

## Why it matters
Two critics of which the smaller value is taken, the members of an ensemble, the heads of a multi-head network: they
help only as far as they differ. Copies with the same gradients are one network at twice the cost, and an ensemble of
copies is sure of everything.

## Bad
```python
import copy

def training():
    head = nn.Linear(8, 1)
    heads = nn.ModuleList([copy.deepcopy(head) for _ in range(3)])
    optimizer = torch.optim.Adam(heads.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = sum(F.mse_loss(each(x), y) for each in heads)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 8), torch.randn(8, 1)))
```

## Good
```python
def training():
    heads = nn.ModuleList([nn.Linear(8, 1) for _ in range(3)])
    optimizer = torch.optim.Adam(heads.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = sum(F.mse_loss(each(x), y) for each in heads)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 8), torch.randn(8, 1)))
```

## When to allow it
Replicas whose gradients are averaged, as when training on several devices is simulated in one process; two networks
that are trained side by side to show that they agree.

## Source
Osband et al., "Deep Exploration via Bootstrapped DQN" (2016), and Fujimoto et al., "Addressing Function Approximation
Error in Actor-Critic Methods" (2018): members differ by their initial parameters, or by the data they see. As it
happened: EdanToledo/Stoix, issue 72; UoA-CARES/cares_reinforcement_learning, issue 223. Copies that get gradients of
their own, such as the layers of a deep-copied stack, are not told.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.beginnings import Beginnings, Copies
from smokestep.evidence.fate import abridged
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def identical_twins(beginnings: Beginnings, steps: Steps) -> Iterator[Said]:
    pairs = [pair for pair in beginnings.copies if not pair.shared]
    if not pairs:
        yield NotApplicable("no parameter began as a copy of another")
        return
    told: dict[str, dict[str, list[Copies]]] = {}
    for pair in pairs:
        if pair.still and _together(steps, pair) > 1:
            owners = [found.owner if (found := steps.parameter(name)) else "" for name in (pair.first, pair.second)]
            first, second = _apart(owners[0] or pair.first, owners[1] or pair.second)
            told.setdefault(first, {}).setdefault(second, []).append(pair)
    for first, others in told.items():
        twins = [pair for pairs in others.values() for pair in pairs]
        line = twins[0].line
        those = "is a copy" if len(others) == 1 else "are copies"
        yield Finding(
            f"{abridged(tuple(others))} {those} of {first}, and got the same gradient at each of "
            f"{_together(steps, twins[0])} updates: nothing makes them differ",
            where=Place.of(f"{first}, {abridged(tuple(others))}", line),
            cause=line,
            hint="build each with initial numbers of its own, not by copying, or train each on other samples",
            subjects=tuple(dict.fromkeys(name for pair in twins for name in (pair.first, pair.second))),
        )


def _together(steps: Steps, pair: Copies) -> int:
    """At how many updates two parameters had the same gradient and moved; 0 if they differed at any."""
    count = 0
    for one, other in zip(steps.moves(pair.first), steps.moves(pair.second), strict=False):
        if one.gradient != other.gradient or one.update != other.update:
            return 0
        count += bool(one.gradient and one.update)
    return count


def _apart(one: str, other: str) -> tuple[str, str]:
    """Two names without the end that they have in common: of `q1.0` and `q2.0`, `q1` and `q2`."""
    first, second = one.split("."), other.split(".")
    while len(first) > 1 and len(second) > 1 and first[-1] == second[-1]:
        first.pop()
        second.pop()
    return ".".join(first), ".".join(second)
