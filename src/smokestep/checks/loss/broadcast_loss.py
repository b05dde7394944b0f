"""Finds a loss whose prediction and target broadcast against each other, so that samples are mixed.

## What it finds
An elementwise loss (`mse_loss`, `l1_loss`, `huber_loss`, …), or a difference or a product written by hand, of `[B, 1]`
against `[B]`: the result is `[B, B]`, every prediction against every target. So too an advantage made like that.
In a call also one number for several targets, `[B, 1]` against `[B, K]` (a suspicion).

## Why it matters
The loss is minimal when every prediction is the mean of all targets, so the network learns to ignore its input. It
falls at first, like any other loss, and PyTorch at most warns.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = ((model(x).squeeze(1) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8)))
```

## When to allow it
Every prediction is meant to meet every target, as in an energy distance; better then to write the extra dimensions.

## Source
TheDeepChecker's broadcast loss (Ben Braiek and Khomh, 2023); the warning of `torch.nn.functional.mse_loss` about sizes.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.shapes import mixed_differences, mixes, repeats
from smokestep.findings import Finding, NotApplicable, Place, Severity

ELEMENTWISE = frozenset(
    "mse_loss l1_loss smooth_l1_loss huber_loss poisson_nll_loss gaussian_nll_loss kl_div "
    "binary_cross_entropy_with_logits".split()  # the last outside of PyTorch, which refuses it
)


@check(severity="defect", since="0.1", explains=("constant-output", "ignored-input"))
def broadcast_loss(losses: Losses, flow: Flow) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].name in ELEMENTWISE and group[0].target]
    for group in groups:
        call, target = group[0], group[0].target
        pairs = [(each.prediction.shape, each.target.shape) for each in group if each.target is not None]
        if target and len(pairs) == len(group) and all(repeats(*pair) for pair in pairs):
            yield Finding(
                message=f"`{call.name}` compares a prediction of shape {list(call.prediction.shape)} with a target of "
                f"shape {list(target.shape)}: one predicted number meets several targets, and learns their mean",
                where=call.place,
                cause=call.user_line,
                hint="look at what made the target: a sum over one of its dimensions may be missing",
                severity=Severity.SUSPICION,
            )
        elif target and len(pairs) == len(group) and all(mixes(*pair) for pair in pairs):
            yield Finding(
                message=f"`{call.name}` compares a prediction of shape {list(call.prediction.shape)} with a target of "
                f"shape {list(target.shape)}: every prediction meets every target",
                where=call.place,
                cause=call.user_line,
                hint="give both one shape: squeeze the prediction, or unsqueeze the target",
                severity=Severity.SUSPICION if call.reduction == "none" else call.severity,
                data={"prediction": list(call.prediction.shape), "target": list(target.shape)},
            )
    by_hand = mixed_differences(flow.graphs[0]) if flow.graphs else ()
    for op, first, second, certain in by_hand:
        yield Finding(
            message=f"`{op.name}` takes values of shape {list(first)} and {list(second)}, one from the network and one "
            f"{'that weighs it' if 'mul' in op.name else 'from the data'}: in the result every one meets every other",
            where=Place.of(op.module or None, op.line),
            cause=op.line,
            hint="give both one shape: squeeze the prediction, or unsqueeze the target",
            severity=None if certain and not (op.line and op.line.installed) else Severity.SUSPICION,
            data={"first": list(first), "second": list(second)},
        )
    if not groups and not any(graph.backwards for graph in flow.graphs):
        yield NotApplicable("no backward pass was seen")
