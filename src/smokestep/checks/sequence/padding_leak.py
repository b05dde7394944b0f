"""Finds models in which what stands at padded positions reaches the real ones.

## What it finds
A model that is told which positions are padding (by a mask, by lengths, by comparing with the pad token), and whose
output at the real positions of a sequence changes both when other entries are put at its padded positions and when
these are cut off. Where only the `padding_idx` of an embedding shows the padding: the same, if attention, a mean or the
last position brings it in. What a convolution brings over the border is not told.

## Why it matters
What the model says of a sample then depends on the longest sample that happens to be in its batch.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=0)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, ids, lengths):
        hidden, _ = self.rnn(self.embed(ids) * lengths.sqrt()[:, None, None])
        last = hidden[:, -1]
        return self.out(last)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        ids, lengths, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids, lengths), y)
        loss.backward()
        optimizer.step()
        return loss
    lengths = torch.tensor([6, 3, 4, 5])
    ids = torch.randint(1, 20, (4, 6)) * (torch.arange(6) < lengths[:, None])
    return smokestep.Training(step, (ids, lengths, torch.tensor([0, 1, 1, 0])))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=0)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, ids, lengths):
        hidden, _ = self.rnn(self.embed(ids))
        last = hidden[torch.arange(len(ids)), lengths - 1]
        return self.out(last)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        ids, lengths, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids, lengths), y)
        loss.backward()
        optimizer.step()
        return loss
    lengths = torch.tensor([6, 3, 4, 5])
    ids = torch.randint(1, 20, (4, 6)) * (torch.arange(6) < lengths[:, None])
    return smokestep.Training(step, (ids, lengths, torch.tensor([0, 1, 1, 0])))
```

## When to allow it
When all sequences are always padded to one fixed length, in training and in use, and the model may read the padding.

## Source
A metamorphic relation: PyTorch's own `key_padding_mask` and `pack_padded_sequence` keep it exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.padding import ATTENTION, Cropped, Padding
from smokestep.findings import Finding, NotApplicable, Place

PICKS = frozenset("__getitem__ select index_select narrow unbind".split())
NEAR = ("conv", "avg_pool", "max_pool", "unfold")  # they reach over the border as far as their kernel, and no further
WHAT = {
    "attention": "also attends to padding",
    "mean": "also averages over padding",
    "last": "takes the last position, which is padding there",
    "states": "runs on over the padding",
    "": "brings padding in",
}
HINTS = {
    "attention": "give the attention its mask (`key_padding_mask`, or -inf before the softmax)",
    "mean": "multiply by the mask before summing, and divide by the number of real positions",
    "last": "take the position `lengths - 1` of each sequence, or pack the sequences",
    "states": "pack the sequences (`pack_padded_sequence`), or take the output at `lengths - 1`",
    "": "mask the padded positions before this line",
}


@check(severity="suspicion", since="0.1")
def padding_leak(padding: Padding) -> Iterator[Said]:
    """Tells every model whose output at real positions depends on what stands at padded ones."""
    for each in padding.inputs:
        why = _why_not(each)
        if why:
            yield NotApplicable(f"{each.model}: {why}")
        elif each.apart and each.leaks and not each.blind and each.cut and each.padded:
            kind = _kind(each)
            at = f"for a sequence with {each.length} real of {each.padded.width} positions"
            yield Finding(
                f"{each.model}: `{each.cut.op}` {WHAT[kind]}: its output {at} {each.change} when the padding is cut off"
                f" (padding told by {each.padded.by})",
                where=Place.of(each.model, each.line),
                cause=each.cut.caller or each.cut.line,
                hint=HINTS[kind],
                subjects=(each.model,),
                data={"length": each.length, "width": each.padded.width, "change": each.apart},
            )


def _kind(each: Cropped) -> str:
    assert each.cut is not None
    if each.cut.states:
        return "states"
    name = each.cut.op
    return "attention" if name in ATTENTION else "mean" if name == "mean" else "last" if name in PICKS else ""


def _why_not(each: Cropped) -> str:
    if each.skipped or each.padded is None:
        return each.skipped
    if each.ignored:
        return f"`{each.ignored[0]}`, which tells of the padding, is not read"
    if each.leaks and each.cut is None:
        return "the padding moves its output, but no operation was seen to bring it in"
    if each.leaks and each.cut and each.cut.op.startswith(NEAR):
        return f"its `{each.cut.op}` reaches over the border into the padding"
    if each.leaks and not each.padded.told and not _kind(each):
        return "nothing but a pad token shows its padding, and it may learn what that means"
    return ""
