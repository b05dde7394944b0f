"""Finds a loop that keeps the gradient history of every step, so that memory grows with every one.

## What it finds
A tensor with gradient history that is made on the same line in each step and still held when the recording ends, or a
sum that is carried from step to step with its history (`total += loss`), so that it reaches back to the first. Both
over three or more steps, each with an update. What a loop holds only until its next turn is left alone.

## Why it matters
Each step leaves behind a graph, and what its operations saved for a backward pass that has not run: the training is
killed for memory after some hours, on a machine on which it fitted. A `backward()` on it walks through all steps.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    total = 0.0

    def step(batch):
        nonlocal total
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    total = 0.0

    def step(batch):
        nonlocal total
        inputs, targets = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randint(0, 2, (8,))))
```

## When to allow it
When only so many steps are kept, or each is short and there are few.

## Source
PyTorch, "Frequently Asked Questions": "Don't accumulate history across your training loop."
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from smokestep.check import check
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, Line, NotApplicable, Place

LEAST = 3  # steps: what is held from one to the next is not held from the first to the third


@check(severity="suspicion", since="0.1")
def growing_graph(flow: Flow, steps: Steps) -> Iterator[Finding | NotApplicable]:
    graphs = flow.graphs
    updated = {event.step for event in steps.of("update", "manual")}
    if steps.own_loop or len(graphs) < LEAST or not updated >= {graph.step for graph in graphs}:
        yield NotApplicable("it takes three steps of a loop, each with an update")
        return
    told: set[Line | None] = set()
    for what, op in list(_summed(graphs)) or list(_held(graphs)):
        line = op.caller or op.line
        if line in told:
            continue
        told.add(line)
        yield Finding(
            f"`{op.name}` {what}: memory grows with every step",
            where=Place.of(None, line),
            cause=line,
            hint="keep the number (`loss.item()`) or the values (`.detach()`), without the history",
            data={"steps": len(graphs)},
        )


def _summed(graphs: tuple[Graph, ...]) -> Iterator[tuple[str, Op]]:
    """The operation that continues the history of all earlier steps."""
    chain = frozenset(id for op in graphs[0].ops if _continues(graphs[0], op) for id in op.makes)
    for graph in graphs[1:]:
        before = [id for id in chain if id in graph.values and graph.values[id].kind == "carried"]
        chain = graph.forward_of(before, partial(_continues, graph)) - frozenset(before)
        first = next((op for op in graph.ops if not chain.isdisjoint(op.makes)), None)
    if chain and first is not None:
        yield f"continues the gradient history of all {len(graphs)} steps", first


def _continues(graph: Graph, op: Op) -> bool:
    """Whether the history of what it reads goes on in what it makes; a leaf has none, whoever made it one."""
    read = any(graph.values[each].requires_grad for each in op.reads if each in graph.values)
    return op.grad and op.name != "requires_grad_" and read and graph.passes_gradient(op)


def _held(graphs: tuple[Graph, ...]) -> Iterator[tuple[str, Op]]:
    """Operations whose results of all but the last step are still held; the last one's may be."""
    places: list[dict[tuple[Line | None, str], Op]] = []
    for graph in graphs[:-1]:
        makers = [op for each in graph.values.values() if each.kept and (op := graph.maker(each.id)) is not None]
        within = graph.backward_of(value for op in makers for value in op.reads)  # held by the history of another
        places.append({(op.line, op.name): op for op in makers if within.isdisjoint(op.makes)})
    for key, op in places[0].items():
        if all(key in each for each in places):
            yield f"made a tensor in each of {len(graphs)} steps that is kept with its gradient history", op
