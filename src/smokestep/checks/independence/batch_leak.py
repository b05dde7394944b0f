"""Finds an output whose value for one sample depends on the other samples of the batch, in evaluation mode.

## What it finds
One of a few samples is given other entries, and the output of the others changes. A defect where a `view` or
`reshape` tore the samples apart and made as many rows of them (or as many times a whole number), which are taken for
samples: no network means that; rows of another number are taken to be groups that are meant. A suspicion where
attention, recurrence, a softmax, a mean or a normalization runs along the dimension that counts samples; the line is
that operation's. Samples that meet in a product with each other, as in a contrastive similarity or a graph, are taken
to be meant.

## Why it matters
The loss falls as ever, for the samples of a batch are always there in training. The scores are wrong, and change with
whatever else is in the batch. The usual reasons are `view` where `transpose` was meant, a layer that expects the time
in dimension 0 (`batch_first=False`, the default), and `dim=0` where `dim=1` was meant.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, 2)
    def forward(self, x):                            # (batch, time, feature)
        h = torch.relu(self.mix(x)).view(x.shape[1], x.shape[0], x.shape[2])
        return self.head(h.mean(0))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 5, 6), torch.randint(0, 2, (8,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, 2)
    def forward(self, x):                            # (batch, time, feature)
        h = torch.relu(self.mix(x)).transpose(0, 1)
        return self.head(h.mean(0))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 5, 6), torch.randint(0, 2, (8,))))
```

## When to allow it
When the samples of a batch are meant to see each other in evaluation too, or dimension 0 counts something else (say
`Training(..., batch_dim=...)`, -1 for none).

## Source
"Use backprop to chart dependencies" (A. Karpathy, A Recipe for Training Neural Networks, 2019).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.influence import ATTENTION, RECURRENT, Influence, Influenced, Meeting
from smokestep.findings import Finding, NotApplicable, Open, Place, Severity

AVERAGES = frozenset(
    "softmax log_softmax softmin mean sum norm normalize logsumexp max amax min amin median cumsum prod".split()
)
FIRST = (
    "it expects (time, batch, feature): give it batch_first=True, or transpose its input; "
    "where that is what it gets, declare batch_dim=1"
)


@check(severity="defect", since="0.1")
def batch_leak(influence: Influence) -> Iterator[Said]:
    for model in influence.models:
        meeting = model.meeting
        if model.skipped:
            yield NotApplicable(f"{model.model}: {model.skipped}")
        elif model.unasked:
            yield Open(f"{model.model or 'the model'}: it does not take {model.picked} of its samples ({model.fewer})")
        elif model.leaks and meeting is None:
            yield Open(f"{model.model}: samples change each other's output; where they meet could not be seen")
        elif model.leaks and meeting is not None:
            if model.kept and not meeting.torn:
                yield NotApplicable(f"{model.model}: it changes {model.kept[0]} in evaluation mode, too")
                continue
            what, hint = _told(meeting)
            if not what:
                yield NotApplicable(f"{model.model}: its samples meet in `{meeting.op}`, which is taken to be meant")
                continue
            yield Finding(
                message=f"when one of {model.picked} samples is given other entries, the output of the others changes: "
                f"{what}",
                where=Place.of(".".join(filter(None, (model.model, meeting.module))), meeting.line),
                cause=meeting.caller or meeting.line or model.line,
                hint=hint,
                severity=None if meeting.torn and not _installed(model, meeting) else Severity.SUSPICION,
                subjects=(model.model,),
                data={"operation": meeting.op, "picked": model.picked},
            )


def _told(meeting: Meeting) -> tuple[str, str]:
    """What the operation does to the samples, and the remedy; empty where they may well be meant to meet."""
    op = meeting.op.rstrip("_")
    if meeting.torn:
        return (
            f"`{op}` only renames dimensions, so its rows are made of parts of several samples",
            "move dimensions with transpose or permute; view and reshape split or merge neighbouring ones",
        )
    if meeting.only and op != "batch_norm" and op not in AVERAGES:
        return "", ""  # nothing else could be the time: the rows are one sequence, or meant to meet
    if op in ATTENTION:
        return "attention runs along the batch", FIRST
    if op in RECURRENT:
        return f"the {op} runs along the batch as if it were time", FIRST
    if op == "batch_norm":
        return (
            "the normalization takes its statistics from the batch, in evaluation too",
            "keep running statistics (track_running_stats=True), or normalize within a sample",
        )
    if op in AVERAGES and not meeting.joint:
        return f"`{op}` runs over the samples of the batch", "give it the dimension of the features, not the batch"
    if op in ("linear", "matmul") and meeting.learned and not meeting.joint:
        return f"`{op}` mixes the samples with learned weights", "transpose its input back before it"
    return "", ""


def _installed(model: Influenced, meeting: Meeting) -> bool:
    line = meeting.line
    return model.installed or (line is not None and line.installed)
