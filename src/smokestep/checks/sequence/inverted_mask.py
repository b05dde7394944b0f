"""Finds models that read the padding of a sequence instead of its data, as with an inverted mask.

## What it finds
An attention over a padded sequence whose result, at the first and at the last real position, changes when other entries
are put at the padded positions, and does not change when all other real positions get other entries. Only where the
padded positions hold one value throughout, so that they are padding beyond doubt.

## Why it matters
`key_padding_mask` of PyTorch is True where a position is to be ignored, the `attention_mask` of most libraries is 1
where it is to be read. Turned around, attention sees nothing but padding, and the loss still falls a little.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 20)

    def forward(self, ids, attention_mask):
        x = self.embed(ids)
        mixed, _ = self.attention(x, x, x, key_padding_mask=attention_mask.bool())
        return self.out(x + mixed)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        ids, mask = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids, mask).flatten(0, 1), ids.flatten(), ignore_index=0)
        loss.backward()
        optimizer.step()
        return loss
    mask = (torch.arange(6) < torch.tensor([5, 3, 4, 5])[:, None]).long()
    return smokestep.Training(step, (torch.randint(1, 20, (4, 6)) * mask, mask))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 20)

    def forward(self, ids, attention_mask):
        x = self.embed(ids)
        mixed, _ = self.attention(x, x, x, key_padding_mask=~attention_mask.bool())
        return self.out(x + mixed)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        ids, mask = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids, mask).flatten(0, 1), ids.flatten(), ignore_index=0)
        loss.backward()
        optimizer.step()
        return loss
    mask = (torch.arange(6) < torch.tensor([5, 3, 4, 5])[:, None]).long()
    return smokestep.Training(step, (torch.randint(1, 20, (4, 6)) * mask, mask))
```

## When to allow it
When the positions that look padded carry the data.

## Source
PyTorch, `nn.MultiheadAttention`: "a True value indicates that the corresponding key value will be ignored".
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.padding import Padding
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1")
def inverted_mask(padding: Padding) -> Iterator[Said]:
    """Tells every model that reads the padding of a sequence and not the sequence."""
    for each in padding.inputs:
        if each.skipped or each.padded is None:
            yield NotApplicable(f"{each.model}: {each.skipped}")
        elif each.blind:
            yield Finding(
                f"{each.model}: `{each.blind.op}` reads the padding of a sequence instead of its data: of "
                f"{each.padded.width} positions {each.length} are real, and at their ends its result depends on what "
                f"stands at the padded ones, and on no other real one (padding told by {each.padded.by})",
                where=Place.of(each.model, each.line),
                cause=each.blind.caller or each.blind.line or each.line,
                hint="invert the mask: in `key_padding_mask` and `src_key_padding_mask` True means padding",
                severity=None if each.padded.told and not each.installed else Severity.SUSPICION,
                subjects=(each.model,),
            )
