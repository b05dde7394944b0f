"""Finds a softmax or sigmoid in front of a loss that applies one itself.

## What it finds
`cross_entropy` given the result of a softmax over its classes, `nll_loss` given a log-softmax of a softmax, and
`binary_cross_entropy_with_logits` (or `binary_cross_entropy` after another sigmoid) given the result of a sigmoid.
A log-softmax before `cross_entropy` changes nothing and is left alone. Rows that merely look like probabilities are a
suspicion.

## Why it matters
Probabilities taken for logits differ by 1 at most, so the loss cannot fall below a floor (1.46 for ten classes) and
the gradient stays small: the network learns slowly and is never sure, which looks like a hard problem.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(dim=1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## When to allow it
You bound the logits on purpose, as a strong form of label smoothing.

## Source
Karpathy, "A Recipe for Training Neural Networks" (2019); the documentation of `torch.nn.CrossEntropyLoss`: "the input
is expected to contain the unnormalized logits".
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import bare, made_of_what_was
from smokestep.findings import Finding, Line, NotApplicable, Severity

TAKE_LOGITS = {
    "cross_entropy": ("softmax", "softmin", "gumbel_softmax", "sparsemax"),
    "binary_cross_entropy_with_logits": ("sigmoid", "hardsigmoid", "softmax"),
    "multilabel_soft_margin_loss": ("sigmoid", "hardsigmoid", "softmax"),
}
TAKE_NORMALISED = {"nll_loss": "log_softmax", "kl_div": "log_softmax", "binary_cross_entropy": "sigmoid"}


# `tolerance`: half precision keeps three digits, so the sum of a row of probabilities is known to about one percent.
@check(severity="defect", since="0.1", explains=("constant-loss", "zero-gradient"))
def double_softmax(losses: Losses, flow: Flow, *, tolerance: float = 1e-2) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].name in {**TAKE_LOGITS, **TAKE_NORMALISED}]
    if not groups:
        yield NotApplicable("no loss that takes logits or normalised scores was called")
    for group in groups:
        call = group[0]
        firsts = [_first(each, flow, tolerance) for each in group]
        if all(firsts) and (first := firsts[0]):
            maker, line, certain = first
            again = (
                f"`{call.name}` applies its own" if call.name in TAKE_LOGITS else f"`{call.prediction.maker}` follows"
            )
            message = f"{again}, and is given the result of `{maker}`, not plain scores"
            if not maker or (not certain and call.name in TAKE_LOGITS):
                message = f"`{call.name}` wants plain scores, and every row it is given is non-negative and sums to 1"
            if call.name == "cross_entropy" and call.classes and call.reduction == "mean" and not call.weighted:
                floor = math.log1p((call.classes - 1) / math.e)  # one logit of 1, the others 0
                message += f": the loss cannot fall below {floor:.2f}"
            yield Finding(
                message=message,
                where=call.place,
                cause=line or call.user_line,
                hint=f"give `{call.name}` the scores from before `{maker}`" if maker else "give the loss plain scores",
                severity=call.severity if certain else Severity.SUSPICION,
                related=((call.line, "the loss is here"),) if call.line and line and line != call.line else (),
                data={"low": call.prediction.low, "high": call.prediction.high},
            )


def _first(call: LossCall, flow: Flow, tolerance: float) -> tuple[str, Line | None, bool] | None:
    """What normalised the prediction before the loss does it again: its name, its line, and whether that is certain."""
    given = call.prediction
    rows = given.rows is not None and not math.isnan(sum(given.rows)) and not given.off(given.rows, tolerance)
    if call.classes == 1:
        return None  # told by single-logit
    if call.name in TAKE_LOGITS:
        if given.maker in TAKE_LOGITS[call.name] and (rows or call.classes is None):
            return given.maker, given.maker_line, True
        if rows and given.low is not None and given.low >= 0 and call.classes and given.maker != "one_hot":
            return given.maker, given.maker_line, False
        return None
    if given.maker == TAKE_NORMALISED[call.name]:
        before = made_of_what_was(flow.graphs[call.step], given.value)
        if before is not None and bare(before.name) in ("softmax", "sigmoid"):
            return bare(before.name), before.line, call.name != "kl_div"  # maps of attention are compared so
    return None
