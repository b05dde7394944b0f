"""Finds predictions that are handed their own target at the same position.

## What it finds
A loss whose target is the model's own tokens, not shifted, and a model that reads earlier positions and its own, but no
later ones. With masked attention a defect: such a model is built to predict the next token, and is given it. With
recurrence or convolutions, which read no later positions by nature, or where another loss of the model is for the next
token, a suspicion. Nothing is said where the tokens pass through half their width or less, or through picked codes: an
autoencoder.

## Why it matters
The answer stands where the model reads: it learns to repeat its input, the loss falls to zero, and nothing is learned
about what comes next.

## Bad
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
        loss = F.cross_entropy(model(ids).transpose(1, 2), ids)
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
A task that is to copy its input at once.

## Source
R. J. Williams and D. Zipser (1989), teacher forcing: what a network is given is the answer of the step before.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.causality import Causality, Sight
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def unshifted_target(causality: Causality) -> Iterator[Said]:
    if causality.declared is False:
        yield NotApplicable("declared as not causal")
    elif not any(sight.shift == 0 for sight in causality.sights):
        yield NotApplicable("no loss has a target that is the model's input at the same positions")
    for sight in causality.sights:
        if sight.shift == 0 and sight.skipped:
            yield NotApplicable(f"{sight.model}: {sight.skipped}")
        elif sight.shift == 0 and sight.squeezed and _handed(sight):
            yield NotApplicable(f"{sight.model}: its input is squeezed on the way, as in an autoencoder")
        elif sight.shift == 0 and _handed(sight):
            next_too = any(other.model == sight.model and other.shift > 0 for other in causality.sights)
            sure = sight.attends and not next_too and not (sight.recurs or sight.windows or sight.installed)
            yield Finding(
                f"the target of {sight.model} at each position is the token of `{sight.argument}` at the same one, "
                "which its prediction reads, along with those before and none after: it can repeat its input",
                where=Place.of(sight.model, sight.line),
                cause=sight.called if sight.label_name else sight.line,
                hint=f"give the model `{sight.argument}[:, :-1]`, and the loss the tokens from the second on",
                severity=None if sure else Severity.SUSPICION,
            )


def _handed(sight: Sight) -> bool:
    """Masked models read no entry whose answer counts, and predict few; what draws at random may mask inside."""
    sees = sight.answer and sight.own and sight.earlier and not sight.later
    return bool(sees and sight.whole and sight.alone and sight.several and not sight.drew and sight.share > 0.5)
