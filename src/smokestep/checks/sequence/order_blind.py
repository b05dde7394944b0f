"""Finds a model of token sequences that does not know the order of its tokens.

## What it finds
A model that embeds tokens and attends to all of them, and whose output is the same when tokens between the first and
the last change places, or for each token the same in its new place: no position enters it.

## Why it matters
It is a bag of words. "Dog bites man" and "man bites dog" are one to it, and it learns what can be learned from that:
the loss falls, and stops early.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 16), nn.Linear(16, 2)

    def forward(self, ids):
        x = self.embed(ids)
        return self.head((x + F.scaled_dot_product_attention(x, x, x)).mean(1))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        ids, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(ids), y).backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randint(0, 20, (4, 10)), torch.randint(0, 2, (4,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.place, self.head = nn.Embedding(20, 16), nn.Embedding(32, 16), nn.Linear(16, 2)

    def forward(self, ids):
        x = self.embed(ids) + self.place(torch.arange(ids.shape[1]))
        return self.head((x + F.scaled_dot_product_attention(x, x, x)).mean(1))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        ids, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(ids), y).backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randint(0, 20, (4, 10)), torch.randint(0, 2, (4,))))
```

## When to allow it
The tokens are a set, without an order.

## Source
"Attention Is All You Need" (2017), section 3.5.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.order import Orders
from smokestep.findings import Finding, NotApplicable, Place


# On request: small encoders without positions, and models of sets, are right as often as not.
@check(severity="suspicion", since="0.1", on_request=True)
def order_blind(orders: Orders) -> Iterator[Said]:
    if not orders.models:
        yield NotApplicable("no model embeds tokens and attends to them without any positions")
    for seen in orders.models:
        if seen.blind:
            how = "its outputs change places with them" if seen.each else "its output stays the same"
            yield Finding(
                f"{seen.model}: when tokens of `{seen.argument}` change places, {how}: it does not know their order",
                where=Place.of(seen.model, seen.definition),
                cause=seen.line or seen.definition,
                hint="add positions to the embedded tokens, learned ones or sinusoids",
                data={"positions": seen.positions},
            )
