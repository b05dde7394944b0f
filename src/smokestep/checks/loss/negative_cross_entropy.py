"""Finds a cross-entropy that is maximised, or that is negative.

## What it finds
A cross-entropy with class indices whose value is below zero, which only a negative class weight can make. As a
suspicion: one that enters the loss with a minus sign, or under an optimizer with `maximize=True`, where there is
one model and one optimizer and no adversary; and log-probabilities of labels, averaged by hand without the minus.

## Why it matters
The loss falls without limit while the network learns to be wrong. A cross-entropy is never negative.

## Bad
```python
def training():
    model = nn.Linear(4, 3)
    weight = torch.tensor([1.0, -1.0, -2.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y, weight=weight, reduction="sum")
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.tensor([1, 2, 1, 2, 1, 2, 1, 2])))
```

## Good
```python
def training():
    model = nn.Linear(4, 3)
    weight = torch.tensor([1.0, 1.0, 2.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y, weight=weight, reduction="sum")
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.tensor([1, 2, 1, 2, 1, 2, 1, 2])))
```

## When to allow it
Unlearning by gradient ascent, or an adversary inside one model.

## Source
AutoTrainer (Zhang et al., ICSE 2021): a negative loss is a sign of a wrong loss function.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import minimised_log_probability, turned_at
from smokestep.evidence.steps import Optimizer, Steps
from smokestep.findings import Finding, Line, NotApplicable, Place, Severity

NEVER_NEGATIVE = frozenset("cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits".split())


@check(severity="defect", since="0.1")
def negative_cross_entropy(losses: Losses, flow: Flow, steps: Steps) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].name in NEVER_NEGATIVE]
    by_hand = [minimised_log_probability(graph) for graph in flow.graphs if graph.backwards]
    if not groups and not any(by_hand):
        yield NotApplicable("no cross-entropy was called")
    alone = len(steps.optimizers) == 1 and len({call.model for graph in flow.graphs for call in graph.calls}) <= 1
    maximised = alone and all(group.maximize for group in steps.optimizers[0].groups)
    for group in groups:
        call = group[0]
        below = [each for each in group if each.loss is not None and each.loss < -1e-6]
        wanted = 1 if maximised else -1
        if below and call.name == "cross_entropy" and call.target and call.target.integral and not call.target.rows:
            yield _finding(
                below[0], f"`{call.name}` is {below[0].loss:.4g}: a class weight is negative", call.line, None
            )
        elif alone and all(each.sign == wanted for each in group) and not _adversary(call, flow, steps.optimizers[0]):
            turned = None if maximised else turned_at(flow.graphs[call.step], call.result)
            how = "its optimizer maximises" if maximised else "it enters the loss with a minus sign"
            cause = turned.line if turned else steps.optimizers[0].line if maximised else None
            line = cause or call.user_line
            yield _finding(call, f"`{call.name}` is made as large as possible: {how}", line, Severity.SUSPICION)
    if alone and not maximised and by_hand and all(by_hand) and (op := by_hand[0]):
        yield Finding(
            message=f"the log-probabilities that `{op.name}` picks are averaged and made as small as possible",
            where=Place.of(op.module or None, op.line),
            cause=op.line,
            hint="put a minus sign before them",
            severity=Severity.SUSPICION,
        )


def _finding(call: LossCall, message: str, line: Line | None, severity: Severity | None) -> Finding:
    return Finding(
        message=message,
        where=call.place,
        cause=line,
        hint="minimise the cross-entropy itself; class weights must not be negative",
        severity=severity,
        data={"loss": call.loss, "sign": call.sign},
    )


def _adversary(call: LossCall, flow: Flow, optimizer: Optimizer) -> bool:
    """The optimizer leaves some parameters before the loss alone: it moves an input, or a part against the rest."""
    graph = flow.graphs[call.step]
    behind = {graph.values[each] for each in graph.backward_of([call.prediction.value]) if each in graph.values}
    held = {name for group in optimizer.groups for name in group.parameters}
    return any(
        value.kind in ("leaf", "unknown", "carried") or (value.kind == "parameter" and value.name not in held)
        for value in behind
    )
