"""Finds targets that the last activation of the network cannot produce.

## What it finds
A regression loss on the result of a ReLU, sigmoid, tanh, softplus or the like, with targets outside what it can give;
`binary_cross_entropy_with_logits` on scores that cannot be negative. A ReLU before `cross_entropy`, targets computed by
another network, weighted losses, and links like softplus or exp under noisy targets are suspicions.

## Why it matters
The network does what it can, which is the nearest reachable value, and gets no gradient beyond it. The loss stops at a
level that looks like noise in the data.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2), nn.ReLU())
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2)))
```

## When to allow it
Targets beyond the range are outliers that you mean to clip.

## Source
Two Stack Overflow classics (48251943, 48221692) in DeepLocalize's set; DeepDiagnosis (Wardat et al., ICSE 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import same_entries
from smokestep.findings import Finding, NotApplicable, Severity

REACH = {
    "relu": (0, inf), "relu6": (0, 6), "softplus": (0, inf), "exp": (0, inf), "abs": (0, inf), "square": (0, inf),
    "sigmoid": (0, 1), "hardsigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1), "hardtanh": (-1, 1), "elu": (-1, inf),
    "logsigmoid": (-inf, 0), "log_softmax": (-inf, 0),
}  # fmt: skip
UNSIGNED = frozenset("relu relu6 softplus exp abs square".split())
# Chosen for the sign of what is predicted, whatever noise the targets carry; the others also end networks out of habit.
CHOSEN = frozenset("softplus exp abs square elu".split())
REGRESSION = frozenset("mse_loss l1_loss smooth_l1_loss huber_loss".split())


# `slack`: what may lie out of reach, as a share of the span of the targets: noise on labels at the edge of the range.
@check(severity="defect", since="0.1", explains=("constant-loss", "constant-output", "zero-gradient"))
def unreachable_target(losses: Losses, flow: Flow, *, slack: float = 0.05) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].prediction.maker in REACH and group[0].target]
    if not groups:
        yield NotApplicable("no prediction came straight out of an activation with a limited range")
    for group in groups:
        call, maker = group[0], group[0].prediction.maker
        if call.reduction == "none" and call.name != "cross_entropy":
            continue  # a mask may follow, and leave out what has no label
        lows = [each.target.low for each in group if each.target and each.target.low is not None]
        highs = [each.target.high for each in group if each.target and each.target.high is not None]
        if not lows or not highs or any(each.prediction.maker != maker for each in group):
            continue
        low, high, (least, greatest) = min(lows), max(highs), REACH[maker]
        room = slack * (high - low) or 1e-6
        certain = maker not in CHOSEN and not call.weighted and all(_from_data(each, flow) for each in group)
        what = ""
        if call.name in REGRESSION and (low < least - room or high > greatest + room):
            what = f"`{maker}` gives {least:g} to {greatest:g}, and the targets go from {low:.4g} to {high:.4g}"
        elif call.name == "binary_cross_entropy_with_logits" and maker in UNSIGNED and low < 0.5:
            what = (
                f"`{maker}` gives no logit below 0, so no probability below one half, and there are targets of {low:g}"
            )
        elif call.name == "cross_entropy" and maker in ("relu", "relu6") and call.classes != 1:
            what, certain = f"`{maker}` gives no logit below 0, and a class it has shut off gets no gradient", False
        if what:
            yield Finding(
                message=what,
                where=call.place,
                cause=call.prediction.maker_line or call.user_line,
                hint=f"leave out the last `{maker}`, or scale the targets to its range",
                severity=call.severity if certain else Severity.SUSPICION,
                related=((call.line, "the loss is here"),)
                if call.line and call.line != call.prediction.maker_line
                else (),
                data={"low": low, "high": high, "reach": [least, greatest]},
            )


def _from_data(call: LossCall, flow: Flow) -> bool:
    """The target was not computed by a network: what a teacher says may be out of reach on purpose."""
    graph = flow.graphs[call.step]
    before = graph.backward_of([same_entries(graph, call.target.value)]) if call.target else ()
    return all(
        graph.values[each].kind not in ("parameter", "unknown", "carried") for each in before if each in graph.values
    )
