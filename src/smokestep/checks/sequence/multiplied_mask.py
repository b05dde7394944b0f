"""Finds an attention written by hand whose mask is multiplied, so that what it hides keeps a share of the softmax.

## What it finds
A mask of 0 and 1 that is multiplied with the scores before the softmax, or with the weights after it while nothing
normalises them anew, where the scores are masked in no other way. A mask over the queries alone is left alone.

## Why it matters
A score of 0 excludes nothing: its weight is exp(0). Weights set to 0 after the softmax were counted in its sum.

## Bad
```python
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
    def forward(self, x):
        near = torch.ones(x.shape[1], x.shape[1]).tril(1).triu(-1)
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
        return self.head((scores * near).softmax(dim=2) @ self.v(x))

def training():
    model = Attention()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(4, 6, 8), torch.randn(4, 6, 8)))
```

## Good
```python
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
    def forward(self, x):
        near = torch.ones(x.shape[1], x.shape[1]).tril(1).triu(-1)
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
        return self.head(scores.masked_fill(near == 0, -torch.inf).softmax(dim=2) @ self.v(x))

def training():
    model = Attention()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(4, 6, 8), torch.randn(4, 6, 8)))
```

## When to allow it
The mask is a gate, which is to weaken and not to exclude.

## Source
"Attention Is All You Need" (2017), section 3.2.3: masking sets the scores to minus infinity.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.attention import Attention, attentions
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1", explains=("padding-leak", "padded-mismatch"))
def multiplied_mask(flow: Flow) -> Iterator[Said]:
    found = [(graph, each) for graph in flow.graphs for each in attentions(graph)]
    if not found:
        yield NotApplicable("no attention is written by hand")
    told: set[Line | None] = set()
    for graph, each in found:
        late = [op for op in each.after if _over_keys(graph, op, each)]
        early = [op for op in each.before if _over_keys(graph, op, each)]
        op = next(iter([*early, *late]), None)
        if op is None or each.hidden or each.summed or op.caller in told:
            continue
        told.add(op.caller)
        why = "a score of 0 still has the weight exp(0)"
        if not early:
            why = "what it hides has been counted in the sum of the softmax"
        yield Finding(
            f"a mask is multiplied with attention {'scores before' if early else 'weights after'} the softmax: {why}",
            where=Place.of(op.module or None, op.caller),
            cause=op.caller,
            hint="hide the scores before the softmax: scores.masked_fill(mask == 0, -torch.inf)",
            data={"shape": list(each.shape)},
        )


def _over_keys(graph: Graph, op: Op, attention: Attention) -> bool:
    """Whether some factor that is a mask differs from key to key."""
    size = attention.shape[attention.contracted]
    shapes = [graph.values[read].shape for read in op.reads if not graph.values[read].requires_grad]
    return size > 1 and any(len(s) >= -attention.contracted and s[attention.contracted] == size for s in shapes)
