"""Finds a loss that wants log-probabilities and is given something else.

## What it finds
`nll_loss`, `kl_div` or `ctc_loss` whose input is the plain output of a linear or convolution layer with entries above
0, or probabilities that were never put through a logarithm. Entries above 0 from elsewhere are a suspicion.

## Why it matters
`nll_loss` only picks an entry and changes its sign. On logits it has no lower bound: the loss falls for ever, below
zero, while accuracy stands still. On probabilities it learns slowly, as if it were a mean error.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.nll_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3), nn.LogSoftmax(dim=1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.nll_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## When to allow it
The scores are log-densities, or the expected accuracy (the probability itself) is what you maximise.

## Source
The documentation of `torch.nn.NLLLoss` and `torch.nn.KLDivLoss`: the input is expected to contain log-probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.losses import LossCall, Losses, Operand
from smokestep.evidence.origins import LINEAR_LAYERS
from smokestep.findings import Finding, NotApplicable, Severity

TAKE_LOGARITHMS = frozenset({"nll_loss", "kl_div", "ctc_loss"})
PROBABILITIES = frozenset({"softmax", "sigmoid", "hardsigmoid", "gumbel_softmax"})
NORMALISED = frozenset({"log_softmax", "logsigmoid"})


# `tolerance`: how far from 1 the exponentials of a row may sum; half precision over many classes needs five percent.
@check(severity="defect", since="0.1", explains=("constant-loss", "negative-cross-entropy", "zero-gradient"))
def missing_log_softmax(losses: Losses, *, tolerance: float = 0.05) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].name in TAKE_LOGARITHMS]
    if not groups:
        yield NotApplicable("no loss that takes log-probabilities was called")
    for group in groups:
        call = max(group, key=lambda each: each.prediction.high or 0.0)
        given = call.prediction
        if given.high is None or given.high <= 0 or call.classes == 1:
            continue
        exact = given.maker in LINEAR_LAYERS or given.maker in PROBABILITIES
        if not all(_unnormalised(each, tolerance) for each in group):
            continue
        what = "probabilities" if given.maker in PROBABILITIES else f"scores up to {given.high:.3g}"
        maker = f" made by `{given.maker}`" if given.maker else ""
        sums = f"; the exponentials of a row sum to {given.exp_rows[1]:.3g}" if given.exp_rows else ""
        fix = "put log_softmax before it"
        if given.maker in PROBABILITIES:
            fix = f"use log_softmax in place of `{given.maker}`"
        yield Finding(
            message=f"`{call.name}` wants log-probabilities (none above 0), and is given {what}{maker}{sums}",
            where=call.place,
            cause=call.user_line,
            hint=f"{fix}, or give the plain scores to cross_entropy" if call.name == "nll_loss" else fix,
            severity=call.severity if exact else Severity.SUSPICION,
            related=((given.maker_line, "this made the prediction"),)
            if given.maker_line not in (None, call.line)
            else (),
            data={"high": given.high, "exp_rows": list(given.exp_rows or ())},
        )


def _unnormalised(call: LossCall, tolerance: float) -> bool:
    rows = call.prediction.exp_rows
    return call.prediction.maker not in NORMALISED and (rows is None or Operand.off(rows, tolerance))
