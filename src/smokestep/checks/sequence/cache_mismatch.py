"""Finds models that decode something else with their cache than without.

## What it finds
A model whose forward takes a cache (`past`, `past_key_values`, `kv_cache`, …) and returns it, and that gives other
scores for one token and the cache than for the whole beginning: positions that start again at 0, a cache joined in the
wrong order, a mask cut for the wrong positions. A defect where the cache is seen to grow by one position with every
token; otherwise, for it may be something else, a suspicion.

## Why it matters
Training never uses the cache, so nothing shows there. What is then generated comes from a network that was not trained.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(20, 16), nn.Embedding(32, 16)
        self.qkv, self.head = nn.Linear(16, 48), nn.Linear(16, 20)

    def forward(self, ids, past=None):
        start = 0 if past is None else past[0].shape[1]
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=1), torch.cat([past[1], v], dim=1)
        hidden = torch.ones(k.shape[1], k.shape[1], dtype=torch.bool).triu(1)[start:]
        scores = (q @ k.transpose(1, 2) / 4).masked_fill(hidden, -torch.inf)
        return self.head(x + scores.softmax(-1) @ v), (k, v)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1])[0].transpose(1, 2), ids[:, 1:])
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(20, 16), nn.Embedding(32, 16)
        self.qkv, self.head = nn.Linear(16, 48), nn.Linear(16, 20)

    def forward(self, ids, past=None):
        start = 0 if past is None else past[0].shape[1]
        x = self.tokens(ids) + self.places(torch.arange(start, start + ids.shape[1]))
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=1), torch.cat([past[1], v], dim=1)
        hidden = torch.ones(k.shape[1], k.shape[1], dtype=torch.bool).triu(1)[start:]
        scores = (q @ k.transpose(1, 2) / 4).masked_fill(hidden, -torch.inf)
        return self.head(x + scores.softmax(-1) @ v), (k, v)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1])[0].transpose(1, 2), ids[:, 1:])
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))
```

## When to allow it
The cache holds less than the model reads without it, on purpose.

## Source
Equality with the full pass is what a key-value cache is defined by: N. Shazeer, "Fast Transformer Decoding" (2019).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.caching import Caching
from smokestep.findings import Finding, NotApplicable, Place, Severity


# `tolerance`: roundings by which computations of other shapes may differ; `most` of the largest score, for half
# precision has hardly more than a hundred steps.
@check(severity="defect", since="0.1")
def cache_mismatch(caching: Caching, *, tolerance: float = 1e4, most: float = 0.1) -> Iterator[Said]:
    if not caching.models:
        yield NotApplicable("no model takes a cache")
    for model in caching.models:
        if model.skipped:
            yield NotApplicable(f"{model.model} was not decoded with its cache: {model.skipped}")
            continue
        limit = min(tolerance * model.eps, most)
        wrong = [index for index, each in enumerate(model.apart) if not each <= limit]
        if wrong:
            where = f"`{model.op}` is the first to differ" if model.op else "where it begins could not be seen"
            yield Finding(
                f"{model.model} gives other scores for one token and its `{model.cache}` than for the whole beginning: "
                f"they differ by {max(model.apart):.2g} of the largest score; {where}",
                where=Place.of(model.model, model.definition),
                cause=model.line or model.definition,
                hint="with a cache, positions go on from its length, it comes before what is new, and so does its mask",
                severity=None if model.grows and not model.installed else Severity.SUSPICION,
                data={"apart": model.apart, "limit": limit},
            )
