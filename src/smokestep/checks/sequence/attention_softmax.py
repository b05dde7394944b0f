"""Finds an attention written by hand whose softmax runs over another dimension than the keys.

## What it finds
Scores of two computed tensors, a softmax, and a product with values that sums over another dimension than the softmax
normalised. Weights that are added up for a normalisation of their own, as in slot attention, are left alone.

## Why it matters
The weights with which the values are added do not sum to 1: the queries compete for each key, a position's output
grows or fades with how much the others ask, and lengthening the sequence changes its scale. The loss falls all the
same.

## Bad
```python
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
        return self.head((scores.softmax(dim=1) @ self.v(x)).mean(1))

def training():
    model = Attention()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(4, 6, 8), torch.randint(0, 3, (4,))))
```

## Good
```python
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
        return self.head((scores.softmax(dim=2) @ self.v(x)).mean(1))

def training():
    model = Attention()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(4, 6, 8), torch.randint(0, 3, (4,))))
```

## When to allow it
The queries are meant to compete for the keys, as clusters do for points.

## Source
"Attention Is All You Need" (2017), equation 1; Locatello et al., "Object-Centric Learning with Slot Attention" (2020).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.attention import attentions
from smokestep.evidence.flow import Flow
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def attention_softmax(flow: Flow) -> Iterator[Said]:
    found = [each for graph in flow.graphs for each in attentions(graph)]
    if not found:
        yield NotApplicable("no attention is written by hand")
    told: set[Line | None] = set()
    for each in found:
        line = each.softmax.caller
        over_batch = each.dim == -len(each.shape) and len(each.shape) > 2  # samples that compete are a leak, told there
        if each.dim == each.contracted or each.summed or over_batch or line in told:
            continue
        told.add(line)
        rank = len(each.shape)
        yield Finding(
            f"`softmax` normalises attention scores of shape {list(each.shape)} over dimension {each.dim + rank}, and "
            f"`{each.product.name}` adds the values up over dimension {each.contracted + rank}: their weights do not "
            "sum to 1",
            where=Place.of(each.softmax.module or None, line),
            cause=line,
            hint=f"normalise over the keys: softmax(dim={each.contracted})",
            related=((each.product.caller, "the weights are used here"),) if each.product.caller else (),
            data={"shape": list(each.shape), "dim": each.dim, "contracted": each.contracted},
        )
