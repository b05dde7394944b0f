"""Finds models that read the padding of a sequence instead of its data, as with an inverted mask.

## What it finds
The output for a padded sequence changes when other entries are put at its padded positions, and what the sequence itself
holds changes nothing: for an output with positions, at both ends of the data, with all the rest of the data changed. Only
where the padded positions hold one value throughout, so that they are padding beyond doubt.

## Why it matters
`key_padding_mask` of PyTorch is True where a position is to be ignored, the `attention_mask` of most libraries is 1 where
it is to be read. Turned around, attention sees nothing but padding, and the loss still falls a little.

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
        logits = model(ids, mask)
        loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=0)
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
        logits = model(ids, mask)
        loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=0)
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
        elif each.leaks and each.empty:
            op = f" by `{each.cut.op}`" if each.cut else ""
            at = "" if each.pooled else " at its real positions"
            sure = each.padded.agreed and each.padded.told and not each.installed
            yield Finding(
                f"{each.model}: its output{at} for a sequence with {each.length} real of {each.padded.width} positions depends "
                f"on what stands at the {each.padded.width - each.length} padded ones, and not on the rest of the sequence: "
                f"the padding is read{op} instead of the data (padding told by {each.padded.by})",
                where=Place.of(each.model, each.line),
                cause=(each.cut.caller or each.cut.line) if each.cut else each.line,
                hint="invert the mask: in `key_padding_mask` and `src_key_padding_mask` True means padding",
                severity=None if sure else Severity.SUSPICION,
                subjects=(each.model,),
                data={"length": each.length, "width": each.padded.width},
            )
