"""Finds a loss whose target carries gradient: the target is moved towards the prediction.

## What it finds
A recognised loss whose target has a gradient history and gets a gradient, while it is computed in another way than the
prediction (a bootstrapped value, a teacher's output, a codebook entry), or while the prediction has no history at all:
the two arguments are swapped. Two branches of one form, as in siamese training, are left alone.

## Why it matters
The cheapest way to a small loss is then to change the target. A Q-network without `detach` on its bootstrapped value
optimises something else than it should, and a teacher is dragged to its student.

## Bad
```python
def training():
    q = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(q.parameters(), lr=0.1)
    def step(batch):
        state, action, reward, following = batch
        optimizer.zero_grad()
        value = q(state).gather(1, action).squeeze(1)
        target = reward + 0.9 * q(following).amax(dim=1)
        loss = F.mse_loss(value, target)
        loss.backward()
        optimizer.step()
    batch = torch.randn(8, 4), torch.randint(0, 2, (8, 1)), torch.randn(8), torch.randn(8, 4)
    return smokestep.Training(step, batch)
```

## Good
```python
def training():
    q = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(q.parameters(), lr=0.1)
    def step(batch):
        state, action, reward, following = batch
        optimizer.zero_grad()
        value = q(state).gather(1, action).squeeze(1)
        with torch.no_grad():
            target = reward + 0.9 * q(following).amax(dim=1)
        loss = F.mse_loss(value, target)
        loss.backward()
        optimizer.step()
    batch = torch.randn(8, 4), torch.randint(0, 2, (8, 1)), torch.randn(8), torch.randn(8, 4)
    return smokestep.Training(step, batch)
```

## When to allow it
Both sides are meant to move: residual-gradient methods, mutual learning, physics residuals.

## Source
Baird, "Residual algorithms" (1995); DRLinter (Nikanjam et al., 2022), wrong network update.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import LossCall, Losses
from smokestep.findings import Finding, NotApplicable

# The same number whichever argument comes first, so that swapping them is harmless.
SYMMETRIC = frozenset("mse_loss l1_loss smooth_l1_loss huber_loss".split())
COMPARES_FEATURES = frozenset("cosine_embedding_loss margin_ranking_loss triplet_margin_loss".split())
ALIKE = {"log_softmax": "softmax", "logsigmoid": "sigmoid"}


@check(severity="suspicion", since="0.1", explains=("foreign-update",))
def target_gradient(losses: Losses, flow: Flow) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].target and group[0].name not in COMPARES_FEATURES]
    if not groups:
        yield NotApplicable("no recognised loss with a target was called")
    for group in groups:
        call = group[0]
        if not all(_moved(each, flow) for each in group) or not call.target:
            continue
        swapped = not call.prediction.requires_grad
        meant = all(_alike(each, flow) or _both_learn(each, flow, losses) for each in group)
        if swapped and call.name in SYMMETRIC or not swapped and meant:
            continue
        made = call.target.maker_line
        yield Finding(
            message=f"the first argument of `{call.name}`, where the prediction belongs, has no gradient history, and "
            "the second has one: they look swapped"
            if swapped
            else f"the target of `{call.name}` carries gradient: it is moved towards the prediction",
            where=call.place,
            cause=call.user_line,
            hint="give the prediction first" if swapped else "detach the target, or compute it under torch.no_grad()",
            severity=call.severity,
            related=((made, "the target is made here"),) if made and made != call.line else (),
        )


def _moved(call: LossCall, flow: Flow) -> bool:
    """Gradient really arrived at the target."""
    value = flow.graphs[call.step].values.get(call.target.value) if call.target else None
    return value is not None and bool(value.gradient)


def _alike(call: LossCall, flow: Flow) -> bool:
    """Both come out of the same parameters through the same kind of operation, or the target out of derivatives."""
    assert call.target is not None
    graph, sides = flow.graphs[call.step], (call.prediction, call.target)
    before = [graph.backward_of([side.value]) for side in sides]
    trained = [{graph.values[each].name for each in part if graph.values[each].kind == "parameter"} for part in before]
    kinds = {ALIKE.get(side.maker, side.maker) for side in sides}
    derived = any(op.name == "grad" and not (before[0] | before[1]).isdisjoint(op.makes) for op in graph.ops)
    return derived or "" in kinds or (len(kinds) == 1 and trained[0] == trained[1])


def _both_learn(call: LossCall, flow: Flow, losses: Losses) -> bool:
    """Either side is made of what another loss compares with a target of its own: they are kept consistent."""
    assert call.target is not None
    others = [each for each in losses.calls if each.step == call.step and each.reaches_root and each is not call]
    learned = {each.prediction.value for each in others if each.target and not each.target.requires_grad}
    graph, sides = flow.graphs[call.step], (call.prediction.value, call.target.value)
    return all(not graph.backward_of([side], graph.passes_gradient).isdisjoint(learned) for side in sides)
