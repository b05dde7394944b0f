"""Finds losses that count padded positions.

## What it finds
The loss of the padded sequences of the batch changes when padding that they all share is cut off, though the model says
the same at every real position: the loss sums over padded positions, or divides by their number too.

## Why it matters
The model is trained to predict padding, and long samples weigh less the more padding stands beside them. The loss looks
better than it is: padding is easy.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=0)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, 20)

    def forward(self, ids):
        return self.out(self.rnn(self.embed(ids))[0])

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss
    mask = torch.arange(9) < torch.tensor([9, 3, 4, 5])[:, None]
    return smokestep.Training(step, torch.randint(1, 20, (4, 9)) * mask)
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=0)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, 20)

    def forward(self, ids):
        return self.out(self.rnn(self.embed(ids))[0])

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)
        loss.backward()
        optimizer.step()
        return loss
    mask = torch.arange(9) < torch.tensor([9, 3, 4, 5])[:, None]
    return smokestep.Training(step, torch.randint(1, 20, (4, 9)) * mask)
```

## When to allow it
When the model shall learn to predict the padding: an end mark that is repeated, a number of outputs that is fixed.

## Source
A metamorphic relation: padding that all sequences of a batch share means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.padded_loss import PaddedLoss
from smokestep.findings import Finding, NotApplicable, Place


# `equal`: a ratio of two float32 losses is exact to some 1e-6; half precision needs this much room
@check(severity="suspicion", since="0.1")
def padded_loss(loss: PaddedLoss, *, equal: float = 1e-3) -> Iterator[Said]:
    """Tells every loss that changes with the amount of padding; `equal`: within which two ratios are told to be one."""
    for each in loss.inputs:
        if each.skipped or each.padded is None:
            yield NotApplicable(f"{each.model}: {each.skipped}")
        elif each.apart:
            scaled = each.before and abs(each.after / each.before / (each.width / each.shorter) - 1) < equal
            yield Finding(
                f"`{each.op}` {'divides by' if scaled else 'counts'} padded positions: the loss is {each.before:.4g} "
                f"for the padded sequences of the batch, and {each.after:.4g} when they are cut from {each.width} to "
                f"{each.shorter} positions, the longest of them (padding told by {each.padded.by})",
                where=Place.of(each.model, each.line),
                cause=each.line,
                hint="divide by the number of real positions (`mask.sum()`)"
                if scaled
                else "leave padded positions out: `ignore_index`, or multiply by the mask and divide by its sum",
                subjects=(each.model,),
                data={"before": each.before, "after": each.after, "width": each.width, "shorter": each.shorter},
            )
