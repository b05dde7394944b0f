"""Finds a backward whose gradient is not the slope of its forward.

## What it finds
A custom autograd Function, or a whole model, nudged to either side in double precision: the change of its result
disagrees with its gradient, in every direction by the same factor (a defect, if the function is no straight line) or in
some only (a term is missing, a suspicion). Estimates on purpose are left alone: where the forward is constant or hands
its input on, as in rounding with a straight-through gradient, gradient reversal or gradient scaling, or takes a tensor
only for its backward.

## Why it matters
The loss still falls, for a gradient that is half wrong mostly points downhill. What is learned is worse, and nobody
sees it.

## Bad
```python
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2
    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 16), nn.Linear(16, 2)
    def forward(self, x):
        return self.second(Square.apply(self.first(x)))

def training():
    model = Net()
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
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2
    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 2 * x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 16), nn.Linear(16, 2)
    def forward(self, x):
        return self.second(Square.apply(self.first(x)))

def training():
    model = Net()
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
The gradient is an approximation on purpose: of an implicit layer, of a surrogate, of a truncated recursion.

## Source
`torch.autograd.gradcheck` makes the same comparison, for those who call it.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.slopes import Input, Sloped, Slopes
from smokestep.findings import Finding, NotApplicable, Place, Severity


# `directions`: with fewer that agree, one number that happens to fit is no factor.
@check(severity="defect", since="0.1", on_request=True)
def wrong_gradient(slopes: Slopes, *, directions: int = 4) -> Iterator[Said]:
    reasons, judged = ["no call of a model was kept"], False
    for each in slopes.tried:
        if why := each.why or _on_purpose(each):
            reasons.append(f"`{each.name or 'the model'}`: {why}")
            continue
        for tensor in each.inputs:
            if 2 * len(tensor.slopes) <= tensor.tried:  # what is left of noise may agree by chance
                reasons.append(f"`{each.name or 'the model'}`: its slope does not settle as the nudge shrinks")
                continue
            judged = True
            if tensor.wrong():
                yield _finding(each, tensor, directions)
    if not judged:
        yield NotApplicable(reasons[min(1, len(reasons) - 1)])


def _on_purpose(each: Sloped) -> str:
    if any(tensor.flat for tensor in each.inputs) and not each.whole:
        return "its result does not change where it gives gradient, which is an estimate on purpose"
    if any(tensor.same and tensor.wrong() for tensor in each.inputs):
        return "it hands its input on and changes the gradient, on purpose"
    return f"its forward takes `{each.idle}` for its backward alone" if each.idle else ""


def _finding(each: Sloped, tensor: Input, directions: int) -> Finding:
    worst = max(tensor.wrong(), key=lambda slope: abs(slope.given - slope.measured))
    factor = tensor.factor
    if factor is None:
        what = f"in {len(tensor.wrong())} of {len(tensor.slopes)} directions: a term is missing, or one is too many"
    else:
        what = f"in every direction: it is {factor:.3g} times what it should be" if factor else "anywhere: it is 0"
    certain = (
        factor and not (each.whole or tensor.linear or tensor.passing)
        and min(tensor.numbers, len(tensor.slopes)) >= directions
        and not (each.backward and each.backward.installed)
    )  # fmt: skip
    backward = f"the backward of `{each.name}`" if not each.whole else f"the gradient of `{each.name}`"
    return Finding(
        message=f"{backward} gives {worst.given:.6g} for a direction of `{tensor.name}` along which the result changes "
        f"by {worst.measured:.6g}; it is wrong {what}",
        where=Place.of(None if not each.whole else each.name, each.line),
        cause=each.backward,
        hint="write the derivative of what forward returns once more, and compare with "
        "`torch.autograd.gradcheck` in double precision",
        severity=None if certain else Severity.SUSPICION,
        related=((each.line, "it is called here"),) if each.line else (),
        data={"measured": worst.measured, "given": worst.given, "factor": factor},
    )
