"""Finds models whose output depends on how much padding a sequence has, whatever stands in it.

## What it finds
The output at the real positions of a padded sequence changes when the padding is cut off, and does not change when
other entries are put into it: the padding is masked, but its amount counts. A mean that divides by the padded length
does that, and positions that are counted from the padded front of a sequence.

## Why it matters
The same sample gives another result in another batch, and another one alone, when the model is used.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=0)
        self.out = nn.Linear(8, 2)

    def forward(self, ids, attention_mask):
        h = self.embed(ids) * attention_mask[:, :, None]
        h = h.mean(dim=1)
        return self.out(h)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["ids"], batch["attention_mask"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss
    mask = (torch.arange(6) < torch.tensor([6, 3, 4, 5])[:, None]).long()
    ids = torch.randint(1, 20, (4, 6)) * mask
    return smokestep.Training(step, {"ids": ids, "attention_mask": mask, "y": torch.tensor([0, 1, 1, 0])})
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=0)
        self.out = nn.Linear(8, 2)

    def forward(self, ids, attention_mask):
        h = self.embed(ids) * attention_mask[:, :, None]
        h = h.sum(dim=1) / attention_mask.sum(dim=1, keepdim=True)
        return self.out(h)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["ids"], batch["attention_mask"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss
    mask = (torch.arange(6) < torch.tensor([6, 3, 4, 5])[:, None]).long()
    ids = torch.randint(1, 20, (4, 6)) * mask
    return smokestep.Training(step, {"ids": ids, "attention_mask": mask, "y": torch.tensor([0, 1, 1, 0])})
```

## When to allow it
When all sequences are always padded to one fixed length, or when the length itself is a feature on purpose.

## Source
A metamorphic relation: a sequence alone, cut to its own length, means the same as padded in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.padding import Padding
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def padded_mismatch(padding: Padding) -> Iterator[Said]:
    """Tells every model whose output at real positions depends on the amount of padding."""
    for each in padding.inputs:
        if each.skipped or each.padded is None:
            yield NotApplicable(f"{each.model}: {each.skipped}")
        elif each.apart and not each.leaks:
            op = f", and `{each.cut.op}` brings it in" if each.cut else ""
            yield Finding(
                f"{each.model}: its output for a sequence with {each.length} real of {each.padded.width} positions "
                f"{each.change} when the padding is cut off: not what stands in it matters, but how much of it there "
                f"is{op} (padding told by {each.padded.by})",
                where=Place.of(each.model, each.line),
                cause=(each.cut.caller or each.cut.line) if each.cut else each.line,
                hint="count positions from the first real one (`mask.cumsum(1) - 1`)"
                if each.padded.left and not each.pooled
                else "divide by the number of real positions, not by the length of the padded sequence",
                subjects=(each.model,),
                data={"length": each.length, "width": each.padded.width, "change": each.apart},
            )
