"""Finds a closure that computes the loss and no gradient, given to an optimizer that asks it for both.

## What it finds
`optimizer.step(closure)` where the closure never calls `backward()`: with no other gradient at hand nothing moves (a
defect); with gradients from outside, an optimizer that evaluates again and again (LBFGS) reuses the first ones (a
suspicion). And `step()` without the closure that such an optimizer requires, which torch answers with a TypeError.

## Why it matters
LBFGS sees a gradient of zero, takes that for the optimum, and returns at once, without a word.

## Bad
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 1)
    optimizer = torch.optim.LBFGS(model.parameters())

    def step(batch):
        inputs, targets = batch

        def closure():
            optimizer.zero_grad()
            return F.mse_loss(model(inputs), targets)

        optimizer.step(closure)

    return smokestep.Training(step, (torch.randn(8, 3), torch.randn(8, 1)))
```

## Good
```python
def training() -> smokestep.Training:
    model = nn.Linear(3, 1)
    optimizer = torch.optim.LBFGS(model.parameters())

    def step(batch):
        inputs, targets = batch

        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(inputs), targets)
            loss.backward()
            return loss

        optimizer.step(closure)

    return smokestep.Training(step, (torch.randn(8, 3), torch.randn(8, 1)))
```

## When to allow it
When the closure only reports the loss and LBFGS is told `max_iter=1`.

## Source
PyTorch, `torch.optim`: "Some optimization algorithms such as LBFGS need to reevaluate the function multiple times".
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1", explains=("nothing-trains", "zero-gradient", "no-step"), partial=True)
def closure_without_backward(steps: Steps) -> Iterator[Finding | NotApplicable]:
    with_closure = [event for event in steps.of("update") if event.detail.get("closure")]
    missing = "missing 1 required positional argument: 'closure'" in (steps.error or "")
    if steps.own_loop or not (with_closure or missing):
        yield NotApplicable("the loop was smokestep's own" if steps.own_loop else "no optimizer was given a closure")
        return
    if missing:
        yield Finding(
            "step() was called without the closure with which this optimizer evaluates the loss again",
            where=Place.of(None, steps.error_line),
            cause=steps.error_line,
            hint="define closure(): zero_grad, loss, backward, return the loss; and call optimizer.step(closure)",
        )
    for optimizer in steps.optimizers:
        events = [event for event in with_closure if event.subject == optimizer.name]
        if not events or any(event.detail.get("closure_backwards") != 0 for event in events):
            continue
        outside = any(event.parameters for event in events)
        if outside and not optimizer.needs_closure:
            continue  # the gradients come from a backward pass outside: the closure is only asked for the loss
        yield Finding(
            f"the closure given to {optimizer.name}.step() never called backward() in {len(events)} updates"
            + (": every evaluation reuses the same gradients" if outside else ", and there was no gradient to use"),
            where=Place.of(optimizer.name, events[-1].line),
            cause=events[-1].line,
            hint="call loss.backward() in the closure, after zero_grad() and before it returns the loss",
            severity=Severity.SUSPICION if outside else None,
            data={"updates": len(events)},
        )
