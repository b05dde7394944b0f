"""Finds a training whose model is given the same sample over and over, while the targets differ.

## What it finds
Every call that trains gets a batch of two or more rows that are equal in all inputs, while their targets are not.

## Why it matters
The best answer is the average: the loss falls to a plateau. An index that is not used, an `expand` for a `stack`.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    samples, targets = torch.randn(8, 3), torch.arange(8) % 2

    def step():
        inputs = torch.stack([samples[0] for index in range(8)])
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step)
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    samples, targets = torch.randn(8, 3), torch.arange(8) % 2

    def step():
        inputs = torch.stack([samples[index] for index in range(8)])
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step)
```

## When to allow it
When there is only one input by nature, as for a bandit without context, or when the batch is a stand-in for a test.

## Source
Braiek and Khomh, "TheDeepChecker: Property-based Debugging of Deep Neural Networks" (2023): constant features.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.called import Called
from smokestep.evidence.flow import Call, Graph
from smokestep.evidence.losses import Losses, Operand
from smokestep.findings import Finding, NotApplicable, Place

ROWS = 64  # as many are compared with the first


@check(severity="suspicion", since="0.1")
def constant_input(flow: Called, losses: Losses) -> Iterator[Finding | NotApplicable]:
    trained = [(graph, call) for graph in flow.graphs for call in graph.calls if _trains(graph, call)]
    rows = {_rows(graph, call) for graph, call in trained}
    if not trained or None in rows or {graph.step for graph, _ in trained} != {graph.step for graph in flow.graphs}:
        yield NotApplicable("not every step trains a model on a batch of several rows")
        return
    if len(rows) != 1 or any(call.varied for _, call in trained):
        return
    (count,) = rows
    targets = [call.target for group in losses.trained() for call in group if call.target is not None]
    told = [each for each in targets if each.shape in ((count,), (count, 1)) and _differs(each)]
    if told and count is not None and count <= ROWS:
        call = trained[0][1]
        yield Finding(
            f"all {count} samples given to {call.model} are the same, in each of {len(flow.graphs)} steps, "
            "and their targets are not",
            where=Place.of(call.model, call.line),
            cause=call.line,
            hint="print two rows of the input, and go back to where they become equal",
            data={"samples": count},
        )


def _differs(target: Operand) -> bool:
    return target.low is not None and target.high is not None and target.low < target.high


def _trains(graph: Graph, call: Call) -> bool:
    """Whether it is trained on what it is given, and that is data: no other model's output, nothing learned."""
    learned = any(graph.values[value].requires_grad for _, value in call.inputs if value in graph.values)
    return call.grad and not learned and not graph.forward_of(call.outputs).isdisjoint(graph.roots)


def _rows(graph: Graph, call: Call) -> int | None:
    """How many rows each input has; None if that is one, or differs."""
    inputs = [graph.values[value] for _, value in call.inputs if value in graph.values]
    sizes = {each.shape[0] if each.shape else 1 for each in inputs}
    return min(sizes) if len(sizes) == 1 and min(sizes) > 1 else None
