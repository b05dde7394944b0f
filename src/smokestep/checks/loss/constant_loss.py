"""Finds a loss that stays exactly the same in every step, because no gradient comes out of it.

## What it finds
A loss that is equal to the last bit in every step and sends exactly zero gradient to every parameter it reaches: it was
clamped, saturated or normalised away. A loss of exactly 0 may be a margin that every sample satisfies, and a loss that
stands still although parameters move may sit at its minimum: these two are suspicions.

## Why it matters
Nothing is learned. The optimizer runs, weight decay may move the weights, and the printed loss is a number.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        error = F.mse_loss(model(x), y)
        loss = error.clamp(max=0.1)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 1)))
```

## When to allow it
The example batch is already solved, or the loss is switched on later in training.

## Source
Karpathy, "A Recipe for Training Neural Networks" (2019): "they clip the loss instead of the gradients".
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.roots import Total, totals, where_gradient_ends
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity

HUGE = 1e6  # of a loss this large the seven digits of single precision end before the decimal point
CONSEQUENCES = ("zero-gradient", "nothing-trains", "lost-update", "constant-output", "ignored-input")


# `moved`: a step that moves a parameter by this share of its scale changes any loss that depends on it by more than
# the rounding of single precision (6e-8), which `equal` leaves room for; `faint` gradients are nothing but rounding.
@check(severity="defect", since="0.1", explains=CONSEQUENCES)
def constant_loss(
    steps: Steps, flow: Flow, *, moved: float = 1e-4, equal: float = 3e-7, faint: float = 1e-5
) -> Iterator[Said]:
    found = [total for total in totals(steps, flow) if len(total.losses) > 1]
    if not found:
        yield NotApplicable("no loss was seen in two steps")
    for total in found:
        first = total.losses[0]
        spread = max(max(abs(a - b) for a, b in zip(first, other, strict=True)) for other in total.losses)
        scale = max(abs(each) for each in first)
        if not spread <= equal * scale or total.dtype != "float32" and not total.still:
            continue
        exact = spread == 0 and total.still
        if exact and not scale and not all(each.still for each in found):
            continue  # a term that is switched on later, or a margin that holds, beside losses that train
        if not exact and not (total.moved > moved and total.push < faint * scale):
            continue  # at a minimum, or barely moved, or scaled by its own value: gradients say that it does depend
        yield _finding(total, flow, exact)


def _finding(total: Total, flow: Flow, exact: bool) -> Finding:
    ends = where_gradient_ends(flow.graphs[total.step], total.root) if exact else None
    line = (ends.line if ends else None) or total.line
    loss = total.losses[0][0]
    why = f"; `{ends.name}` lets none through" if ends else ""
    return Finding(
        message=f"the loss is {loss:.6g} in each of {len(total.losses)} steps, and every gradient is exactly zero{why}"
        if exact
        else f"the loss is {loss:.6g} in each of {len(total.losses)} steps, although parameters moved by up to "
        f"{total.moved:.1e} of their size",
        where=Place.of(None, line),
        cause=line,
        hint="clip gradients, not the loss; look for a clamp, a saturation or a normalisation before it"
        if exact or abs(loss) < HUGE
        else "scale the targets, to a mean of 0 and a deviation of 1: beside them what the model says does not count",
        severity=None if exact and loss else Severity.SUSPICION,
        related=((total.line, "backward is called here"),) if total.line and line != total.line else (),
        data={"loss": loss, "steps": len(total.losses)},
    )
