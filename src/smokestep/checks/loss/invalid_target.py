"""Finds targets that the loss does not define, and takes all the same.

## What it finds
Targets of binary cross-entropy far outside [0, 1] (-1 and 1, 0 and 255) or divided twice (0 and 1/255); targets of 0
where a margin loss wants -1 and 1; log-probabilities or raw scores as targets of `kl_div`; only ignored targets under a
mean. Soft labels of `cross_entropy` that do not sum to 1, and slight overshoots, are suspicions.

## Why it matters
PyTorch checks few of these. Binary cross-entropy with a target of -1 has no lower bound, and a pair labelled 0 under a
margin loss is silently left out.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(6, 4), torch.tensor([1.0, -1, 1, -1, -1, 1])))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), (y > 0).float())
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(6, 4), torch.tensor([1.0, -1, 1, -1, -1, 1])))
```

## When to allow it
The labels are weighted on purpose: soft targets times an advantage, or GAN labels drawn around 1.

## Source
The documentation of each loss; UMLAUT (Schoop et al., CHI 2021); a Stack Overflow classic, labels divided by 255.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import LINEAR_LAYERS
from smokestep.findings import Finding, NotApplicable, Severity

PROBABILITY = frozenset("binary_cross_entropy binary_cross_entropy_with_logits multilabel_soft_margin_loss".split())
SIGNED = frozenset("hinge_embedding_loss soft_margin_loss cosine_embedding_loss margin_ranking_loss".split())
Fault = tuple[str, str, bool]  # what is wrong, what to try, whether it is certain


# `slight`: labels drawn from 0.7 to 1.2 are an old trick for the discriminator of a GAN; beyond it none is known.
# `tolerance`: soft labels kept in half precision sum to 1 within one percent.
@check(severity="defect", since="0.1", explains=("negative-cross-entropy", "not-finite"), partial=True)
def invalid_target(losses: Losses, *, slight: float = 0.5, tolerance: float = 1e-2) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].target]
    if not groups:
        yield NotApplicable("no recognised loss with a target was called")
    for group in groups:
        call = group[0]
        faults = [_fault(each, slight, tolerance) for each in group]
        if fault := next((each for each in faults if each), None):
            if call.name in SIGNED and any(each.target and (each.target.low or 0) < 0 for each in group):
                continue  # -1 occurs in another step: 0 is used to leave a pair out
            what, fix, certain = fault
            if not all(faults) and not certain:
                continue
            yield Finding(
                message=f"`{call.name}` {what}",
                where=call.place,
                cause=call.user_line,
                hint=fix,
                severity=None if certain else Severity.SUSPICION,
                data={"low": call.target.low, "high": call.target.high} if call.target else {},
            )


def _fault(call: LossCall, slight: float, tolerance: float) -> Fault | None:
    target = call.target
    if target is None:
        return None
    if call.ignored == 1.0:
        whole = call.reduction == "mean"
        return f"ignores every target: each is {call.ignore_index}", "see which index stands for no label", whole
    low, high = target.low, target.high
    if low is None or high is None or low != low or high != high:
        return None
    if call.reduction == "none" and target.distinct != 2:
        return None  # a mask may follow, and leave out what has no label
    masked = call.reduction == "none" or call.weighted
    span = f"from {low:.6g} to {high:.6g}"
    if call.name in PROBABILITY:
        if low < 0 or high > 1 + 1e-6:
            far = (low < -slight or high > 1 + slight) and not masked
            return f"wants targets between 0 and 1, and is given {span}", "map the labels to 0 and 1", far
        if target.distinct == 2 and low == 0 and abs(high * 255 - 1) < 1e-3:
            return "is given targets of 0 and 1/255: labels divided as if they were pixels", "do not scale labels", True
    elif call.name in SIGNED and target.integral and (low, high) in ((0, 0), (0, 1)):
        return f"wants targets of -1 and 1, and is given {span}", "use 2 * y - 1", not masked
    elif call.name == "kl_div":
        if call.log_target and high > 1e-6:
            return f"has log_target=True, and its target goes {span}", "give the logarithms", target.maker == "softmax"
        if not call.log_target and low < 0:
            certain = target.maker == "log_softmax" or target.maker in LINEAR_LAYERS
            return f"wants probabilities as targets, and is given {span}", "apply softmax, or set log_target", certain
    elif call.name == "cross_entropy" and target.rows is not None and call.classes != 1:
        if low < 0 or target.off(target.rows, tolerance):
            rows = f"rows that sum to {target.rows[0]:.4g} to {target.rows[1]:.4g}"
            return f"is given soft labels {span}, with {rows}", "normalise them", False
    elif call.name == "poisson_nll_loss" and low < 0:
        return f"wants counts, and is given {span}", "check the targets", False
    return None
