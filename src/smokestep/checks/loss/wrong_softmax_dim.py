"""Finds a softmax over another dimension than the one that the loss takes for the classes.

## What it finds
`nll_loss` or `cross_entropy` given a (log-)softmax that runs over the batch, or any dimension but the class dimension
(the second; for `kl_div`, the one over which the target sums to 1). A softmax over the first dimension of a model's
two-dimensional output under any other loss is a suspicion.

## Why it matters
The samples of a batch compete with each other, and the probabilities of one sample sum to anything. The loss still
falls, by sharing the batch out among the classes, and the model cannot be used on one sample.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3), nn.LogSoftmax(dim=0))
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
The rows are meant to compete: matching across a batch, or attention over its instances.

## Source
TheDeepChecker (Ben Braiek and Khomh, 2023) lists the wrong softmax axis; without `dim`, `nn.Softmax` takes the first
dimension of a three-dimensional input.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import LossCall, Losses, Operand
from smokestep.evidence.origins import made_without_picks
from smokestep.findings import Finding, NotApplicable, Severity

NORMALISING = frozenset({"softmax", "log_softmax"})
CONSEQUENCES = "double-softmax ignored-input lost-update missing-log-softmax zero-gradient"


# `tolerance`: how far from 1 the probabilities of a row may sum; half precision over many classes needs five percent.
@check(severity="defect", since="0.1", explains=tuple(CONSEQUENCES.split()))
def wrong_softmax_dim(losses: Losses, flow: Flow, *, tolerance: float = 0.05) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].prediction.maker in NORMALISING]
    if not groups:
        yield NotApplicable("no prediction came out of a softmax")
    for group in groups:
        call, given = group[0], group[0].prediction
        certain = all(_other_dimension(each, flow, tolerance) for each in group)
        batch = given.maker_dim == 0 and (given.maker_size or 0) > 1 and len(given.shape) == 2 and call.classes is None
        if certain or (batch and given.maker_size == given.shape[0] and call.name != "kl_div"):
            sums = given.exp_rows if given.maker == "log_softmax" else given.rows
            wanted = "over the classes"
            if call.class_dim is not None:
                wanted = f"over dimension {call.class_dim}, where it has its {call.classes} classes"
            measured = f"; over the classes the probabilities sum to {sums[0]:.3g} to {sums[1]:.3g}" if sums else ""
            yield Finding(
                message=f"`{given.maker}` normalises over dimension {given.maker_dim} (of length {given.maker_size}), "
                f"and `{call.name}` wants that {wanted}{measured}",
                where=call.place,
                cause=given.maker_line or call.user_line,
                hint=f"give `{given.maker}` dim={call.class_dim if call.class_dim is not None else -1}",
                severity=call.severity if certain else Severity.SUSPICION,
                related=((call.line, "the loss is here"),) if call.line and call.line != given.maker_line else (),
                data={"dim": given.maker_dim, "size": given.maker_size, "class_dim": call.class_dim},
            )


def _other_dimension(call: LossCall, flow: Flow, tolerance: float) -> bool:
    """The rows that the loss reads as classes are certainly not what was normalised."""
    given = call.prediction
    rows = given.exp_rows if given.maker == "log_softmax" else given.rows
    if call.classes == 1 or not Operand.off(rows, tolerance):
        return False
    if call.name == "kl_div":
        target = call.target.exp_rows if call.target and call.log_target else call.target.rows if call.target else None
        return target is not None and not Operand.off(target, tolerance) and given.maker == "log_softmax"
    return call.name in ("nll_loss", "cross_entropy") and made_without_picks(flow.graphs[call.step], given.value)
