"""Finds losses in which the next token was taken for the target twice over, so that the one after it is predicted.

## What it finds
A model whose every loss has targets that are its input shifted by two, and none by one. A defect if the model was
handed labels shifted by one, and shifts them by one more itself; else a suspicion.

## Why it matters
The loss falls, only less far; generation then leaves out every second token. Libraries that take `labels` shift them
themselves, and scripts that prepare them do, too.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 20)

    def forward(self, ids, labels):
        x, _ = self.rnn(self.embed(ids))
        logits = self.head(x)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = model(ids[:, :-1], ids[:, 1:])
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 20)

    def forward(self, ids, labels):
        x, _ = self.rnn(self.embed(ids))
        logits = self.head(x)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = model(ids, ids)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))
```

## When to allow it
The token after the next is to be predicted, as by one of several heads trained alone.

## Source
The documentation of Hugging Face's causal language models: labels are shifted inside the model.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.causality import Causality
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def shifted_twice(causality: Causality) -> Iterator[Said]:
    sights = [each for each in causality.sights if each.whole and not each.skipped]
    if causality.declared is False or not sights:
        yield NotApplicable("no loss has a target that is the model's tokens shifted")
    for model in dict.fromkeys(each.model for each in sights):
        mine = [each for each in sights if each.model == model]
        if all(each.shift == 2 and each.alone and each.several and not each.answer for each in mine):
            first = mine[0]
            handed = first.labels == 1
            how = f": `{first.label_name}` are shifted when handed over, and shifted again inside" if handed else ""
            yield Finding(
                f"every target of {model} is the token of `{first.argument}` two positions later, none the next{how}",
                where=Place.of(model, first.line),
                cause=first.called if handed else first.line,
                hint=f"hand over `{first.label_name}` unshifted" if handed else "shift the target by one position",
                severity=None if handed else Severity.SUSPICION,
            )
