"""Finds an output layer that begins as a copy of the embedding, where the two were meant to be one weight.

## What it finds
An embedding and a linear layer whose weights begin bit for bit the same (and not constant), are two parameters, and
both train: they were copied, not shared. Or they lie in the same memory and are two parameters all the same.

## Why it matters
After the first update the two differ: the model has the parameters of two tables, and the embedding does not learn from
what the output is told. Two parameters in one memory are updated twice a step, each with half of the gradient, and come
apart when the model is moved to another device.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.head = nn.Linear(16, 50, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.head.weight = nn.Parameter(self.embed.weight.detach().clone())

    def forward(self, ids):
        return self.head(torch.tanh(self.embed(ids)))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 50, (4, 9)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.head = nn.Linear(16, 50, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(torch.tanh(self.embed(ids)))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 50, (4, 9)))
```

## When to allow it
An output layer that begins as the embedding and is free to differ from it.

## Source
Press and Wolf, "Using the Output Embedding to Improve Language Models" (2017), on one weight for both. As it happened:
rasbt/LLMs-from-scratch, issue 822.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.beginnings import Beginnings
from smokestep.evidence.fates import Fates
from smokestep.evidence.flow import Flow
from smokestep.evidence.units import LAYERS, read_by
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def untied_weights(beginnings: Beginnings, flow: Flow, fates: Fates) -> Iterator[Said]:
    uses = read_by(flow)
    pairs = [
        (pair, uses.get(one, {}).get("embedding"), next(iter(LAYERS & uses.get(other, {}).keys()), ""))
        for pair in beginnings.copies
        for one, other in ((pair.first, pair.second), (pair.second, pair.first))
    ]
    pairs = [(pair, embedding, layer) for pair, embedding, layer in pairs if embedding is not None and layer]
    if not pairs:
        yield NotApplicable("no embedding and layer began as copies of each other")
    trains = {fate.parameter for fate in fates.of("trains")}
    for pair, _, layer in pairs:
        if not {pair.first, pair.second} <= trains:
            continue
        head = pair.second if layer in uses[pair.second] and "embedding" in uses[pair.first] else pair.first
        table = pair.first if head == pair.second else pair.second
        line = uses[head][layer].caller or uses[head][layer].line
        how = "lies in the memory of" if pair.shared else "began as a copy of"
        then = "each update moves it twice" if pair.shared else "the two train apart"
        yield Finding(
            f"{head} {how} {table}, and is a parameter of its own: {then}",
            where=Place.of(head, line),
            cause=line,
            hint=f"assign the parameter itself ({head} = {table}), not a copy or its `.data`",
            subjects=(head, table),
        )
