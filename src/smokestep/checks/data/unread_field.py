"""Finds a flag, mask, weight or length in the batch, by its name, that no step ever reads.

## What it finds
An element of a batch that is a dictionary, a dataclass or a named tuple, called `done`, `terminated`, `attention_mask`,
`sample_weight`, `lengths` or the like, whose entries differ, and which nothing reads but casts and copies. If another
of the same sort is read (`lengths` beside `attention_mask`), or the targets themselves are masked (-100), it is left
alone; so is what is handed to a model.

## Why it matters
Such a field is in the batch to be used. Without `done`, a value bootstraps from the first state of the next episode;
without the mask, padding is averaged like words. Shapes fit all the same, and the loss falls.

## Bad
```python
def training() -> smokestep.Training:
    value = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(value.parameters(), lr=0.1)

    def step(batch):
        with torch.no_grad():
            target = batch["reward"] + 0.9 * value(batch["next_state"]).squeeze(1)
        optimizer.zero_grad()
        loss = F.mse_loss(value(batch["state"]).squeeze(1), target)
        loss.backward()
        optimizer.step()

    states = {"state": torch.randn(8, 3), "next_state": torch.randn(8, 3)}
    return smokestep.Training(step, {**states, "reward": torch.randn(8), "done": (torch.arange(8) % 4 == 3).float()})
```

## Good
```python
def training() -> smokestep.Training:
    value = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(value.parameters(), lr=0.1)

    def step(batch):
        with torch.no_grad():
            target = batch["reward"] + 0.9 * (1 - batch["done"]) * value(batch["next_state"]).squeeze(1)
        optimizer.zero_grad()
        loss = F.mse_loss(value(batch["state"]).squeeze(1), target)
        loss.backward()
        optimizer.step()

    states = {"state": torch.randn(8, 3), "next_state": torch.randn(8, 3)}
    return smokestep.Training(step, {**states, "reward": torch.randn(8), "done": (torch.arange(8) % 4 == 3).float()})
```

## When to allow it
When the field belongs to another part of the program that shares the batch.

## Source
Nikanjam and others, "Faults in Deep Reinforcement Learning Programs" (2022): the terminal state is not handled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.losses import Losses
from smokestep.findings import Finding, NotApplicable, Open, Place

PADDING = r"(attention|padding|pad|(src_)?key_padding|loss|valid)_masks?|((seq|sequence|input|src)_)?(lens?|lengths?)"
SORTS = {  # a field of each sort, and what it is good for
    r"dones?|not_done|terminals?|terminated|is_terminal": "the value of what follows the last state must not count",
    r"((sample|example|importance|loss|is)_)?weights?": "samples are to count by their weights",
    PADDING: "what is padding is to be left out",
}
NEXT = (
    r"next\w*|\w+_next|(new|successor)_\w+|\w+_prime|s2|obs2|s_|ns|sp"  # a state that a flag could stop from counting
)
ENDS = next(iter(SORTS))
COPIES = frozenset({"to", "cuda", "cpu", "float", "long", "bool", "int", "double", "half", "clone", "contiguous"})


@check(severity="suspicion", since="0.1")
def unread_field(flow: Flow, losses: Losses) -> Iterator[Finding | NotApplicable | Open]:
    names = {value.name: value.uniform for graph in flow.graphs for value in graph.sources("input") if value.name}
    fields = {
        name: found[-1] for name in names if (found := re.findall(r"[A-Za-z]\w*", name)) and not name[-2:-1].isdigit()
    }
    sorts = {name: sort for name, field in fields.items() for sort in SORTS if re.fullmatch(sort, field)}
    if not sorts:
        yield NotApplicable("no element of the batch is called a flag, a mask, a weight or a length")
        return
    if any(graph.opaque for graph in flow.graphs):
        yield Open("what runs inside an opaque call may read it")
        return
    following = [name for name, field in fields.items() if re.fullmatch(NEXT, field)]
    if not any(_reads(graph, name) for graph in flow.graphs for name in following):
        sorts = {
            name: sort for name, sort in sorts.items() if sort != ENDS
        }  # returns were made outside, with the flags
    read = {sort for name, sort in sorts.items() if any(_reads(graph, name) for graph in flow.graphs)}
    if any(call.ignored for call in losses.calls):
        read.add(PADDING)  # the targets say themselves which of them count
    for name, sort in sorts.items():
        if names[name] or sort in read:
            continue
        line = next((call.line for graph in flow.graphs for call in graph.calls if call.grad), None)
        yield Finding(
            f"nothing reads {name}, whose entries differ",
            where=Place.of(name, line),
            cause=line,
            hint=f"use it: {SORTS[sort]}",
            data={"field": name},
        )


def _reads(graph: Graph, name: str) -> bool:
    """Whether something is made of a field other than copies of it, or a model is given it."""
    copies = graph.forward_of((value.id for value in graph.sources("input", name)), _copies)
    given = {value for call in graph.calls for _, value in call.inputs}
    readers = graph.readers()
    return not copies.isdisjoint(given) or any(not _copies(op) for value in copies for op in readers.get(value, ()))


def _copies(op: Op) -> bool:
    return op.name in COPIES and not op.escapes
