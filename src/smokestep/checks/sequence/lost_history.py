"""Finds next-token predictions that do not read the tokens before, though the model works along time.

## What it finds
A loss whose target is the next entry of the model's own input, and predictions that change with no earlier position,
although the model attends, recurs or convolves along time; or that do not change with the position they stand at. What
is lost only behind a factor of zero (a gate that has not opened yet) is not told.

## Why it matters
Masked too much, the model knows one token of its context: it learns pairs of tokens, and the loss stays high for no
visible reason.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 16), nn.Linear(16, 20)

    def forward(self, ids):
        x = self.embed(ids)
        y = F.scaled_dot_product_attention(x, x, x, attn_mask=torch.eye(ids.shape[1]).bool())
        return self.head(x + y)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 16), nn.Linear(16, 20)

    def forward(self, ids):
        x = self.embed(ids)
        y = F.scaled_dot_product_attention(x, x, x, is_causal=True)
        return self.head(x + y)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))
```

## When to allow it
A model that is to see one token only.

## Source
"Attention Is All You Need" (2017), section 3.2.3: the positions up to and including its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.causality import Causality
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def lost_history(causality: Causality) -> Iterator[Said]:
    if causality.declared is False or not any(sight.shift == 1 for sight in causality.sights):
        yield NotApplicable("no loss has a target that is the next entry of the model's input")
    for sight in causality.sights:
        if sight.shift != 1 or sight.skipped or sight.answer or sight.later or not sight.alone or not sight.several:
            continue
        blind = sight.earlier is False and sight.mixer and not sight.spreads
        if blind or (sight.own is False and sight.earlier):
            what = "no earlier position" if blind else "earlier positions, but not with the one it stands at"
            why = "although it has operations along time" if blind else "so the newest entry is not used"
            yield Finding(
                f"{sight.model} is to predict the next entry of `{sight.argument}`, and its prediction changes with "
                f"{what}, {why}",
                where=Place.of(sight.model, sight.definition or sight.line),
                cause=(blind and sight.mixer and sight.mixer.cause) or sight.definition or sight.called,
                hint="look at the mask: position i should read the positions j <= i"
                if blind
                else "shift once only: either the model's input, or what it does inside",
            )
