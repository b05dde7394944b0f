"""Finds a loss that lost its gradient history before `backward`, or a term that contributes only its number.

## What it finds
`backward` on a fresh leaf made from the number of a loss (`torch.tensor(loss.item(), requires_grad=True)`,
`loss.detach().requires_grad_()`, `Variable(loss.data, requires_grad=True)`). As a suspicion, a recognised loss that is
added to the total as a number (`.item()`, `.detach()`) and reaches no backward in any other way.

## Why it matters
`requires_grad=True` silences the error that would have told of the missing history. Backward then stops at the new
leaf: no parameter receives anything. A term added as a number changes the printed loss and nothing else.

## Bad
```python
def training():
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss = torch.tensor(loss.item(), requires_grad=True)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))), model=model)
```

## Good
```python
def training():
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))), model=model)
```

## When to allow it
Never for the loss itself; a term that is only logged is better kept out of the total.

## Source
A much-copied answer to "element 0 of tensors does not require grad and does not have a grad_fn".
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.roots import added_as_a_number, bare_root, fed_by_gradient
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity

CONSEQUENCES = "gradient-cut dead-branch nothing-trains lost-update no-step unused-layer zero-gradient constant-loss"


@check(severity="defect", since="0.1", explains=tuple(CONSEQUENCES.split()), partial=True)
def detached_loss(losses: Losses, flow: Flow, steps: Steps) -> Iterator[Said]:
    numbers = {event.index: event.detail.get("loss") for event in steps.of("backward")}
    backwards = [(graph, backward) for graph in flow.graphs for backward in graph.backwards]
    if not backwards:
        yield NotApplicable("backward was never called")
    for line in dict.fromkeys(backward.line for _, backward in backwards):
        at = [(graph, backward, numbers.get(backward.index)) for graph, backward in backwards if backward.line == line]
        found = [bare_root(graph, each, losses, float(n) if n else None) for graph, each, n in at]
        if all(found) and (cut := found[0]):
            yield Finding(
                message="backward starts at a new leaf that holds only the number of the loss: no gradient reaches any "
                "parameter",
                where=Place.of(None, cut.line),
                cause=cut.line or line,
                hint="call backward on the loss itself; take `.item()` or `.detach()` only for logging",
                related=((line, "backward is called here"),) if line and cut.line and line != cut.line else (),
            )
    fed = {graph.step: fed_by_gradient(graph) for graph in flow.graphs}
    for group in losses.trained():
        cuts = [added_as_a_number(flow.graphs[call.step], call, fed[call.step]) for call in group]
        if all(cuts) and (op := cuts[0]):
            yield Finding(
                message=f"`{group[0].name}` is added to the loss as a number (`{op.name}`): it contributes no gradient",
                where=group[0].place,
                cause=op.line or group[0].user_line,
                hint="add the tensor itself",
                severity=Severity.SUSPICION,  # the total is shown so at times, and another loss may train the term
                related=((group[0].line, "the term is computed here"),)
                if group[0].line and group[0].line != op.line
                else (),
            )
