"""Finds a policy gradient whose advantage is not detached from the critic.

## What it finds
A log-probability that is multiplied with a difference of a value, both with gradient, in one loss that also fits this
value to returns.

## Why it matters
The advantage is to weigh the policy's gradient and nothing else. With gradient, the policy's loss moves the critic: it
pushes values up or down by how likely the action was, against the returns that the critic is to fit.

## Bad
```python
def training():
    body, policy, value = nn.Linear(4, 16), nn.Linear(16, 2), nn.Linear(16, 1)
    model = nn.ModuleList([body, policy, value])
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        state, action, returns = batch
        hidden = torch.tanh(body(state))
        log_prob = policy(hidden).log_softmax(1).gather(1, action).squeeze(1)
        advantage = returns - value(hidden).squeeze(1)
        loss = -(log_prob * advantage).mean() + advantage.pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 2, (8, 1)), torch.randn(8)))
```

## Good
```python
def training():
    body, policy, value = nn.Linear(4, 16), nn.Linear(16, 2), nn.Linear(16, 1)
    model = nn.ModuleList([body, policy, value])
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        state, action, returns = batch
        hidden = torch.tanh(body(state))
        log_prob = policy(hidden).log_softmax(1).gather(1, action).squeeze(1)
        advantage = returns - value(hidden).squeeze(1)
        loss = -(log_prob * advantage.detach()).mean() + advantage.pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 2, (8, 1)), torch.randn(8)))
```

## When to allow it
The value is meant to be shaped by the policy's loss.

## Source
Mnih et al., "Asynchronous Methods for Deep Reinforcement Learning" (2016), algorithm S3: separate gradients.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.origins import bare
from smokestep.evidence.roles import LINEAR, LOGARITHMS, PRODUCTS, REGRESSIONS, Roles
from smokestep.findings import Finding, Line, NotApplicable, Place

DIFFERENCES = frozenset("sub subtract __rsub__ rsub".split())
RATIO = LINEAR | frozenset("exp clamp clip min minimum".split())


@check(severity="suspicion", since="0.1")
def undetached_advantage(flow: Flow, roles: Roles) -> Iterator[Said]:
    found = [(graph, op) for graph in flow.graphs for op in graph.ops if _both_learn(graph, op)]
    apart = any(push.scales and not push.along for push in roles.pushes)  # then it is told of the critic's parameters
    if not found or apart:
        yield NotApplicable("no log-probability is multiplied with another output of its own network")
        return
    told: set[Line | None] = set()
    for graph, op in found:
        fitted = [_fitted(graph, weight, log) for log, weight in (op.reads, op.reads[::-1]) if _log(graph, log)]
        at = next((each for each in fitted if each), None)
        if at is None or at.caller in told:
            continue
        told.add(at.caller)  # a clipped objective has two such products
        yield Finding(
            "a log-probability is multiplied with an advantage that has gradient: the policy's loss also moves the "
            f"value, which `{bare(at.name)}` fits to something else",
            where=Place.of(op.module or None, op.caller),
            cause=op.caller,
            hint="weigh by advantage.detach()",
            related=((at.caller, "the value is fitted here"),) if at.caller and at.caller != op.caller else (),
        )


def _both_learn(graph: Graph, op: Op) -> bool:
    if bare(op.name) not in PRODUCTS or "mul" not in op.name or len(set(op.reads)) != 2:
        return False
    return all(graph.values[read].gradient for read in op.reads)


def _log(graph: Graph, value: int) -> bool:
    """Whether a value is a log-probability, or a ratio of two probabilities."""
    near = graph.backward_of([value], lambda op: op.name in RATIO or (bare(op.name) in PRODUCTS and len(op.reads) == 1))
    return any(bare(op.name) in LOGARITHMS and not near.isdisjoint(op.makes) for op in graph.ops)


def _fitted(graph: Graph, weight: int, log: int) -> Op | None:
    """Where a regression of the same loss takes what the weight is a difference of, and no log-probability is in it."""

    def linear(op: Op) -> bool:
        return graph.passes_gradient(op) and (bare(op.name) in LINEAR or bare(op.name) in ("div", "true_divide"))

    parts = graph.backward_of([weight], linear)
    if _log(graph, weight) or not any(op.name in DIFFERENCES and not parts.isdisjoint(op.makes) for op in graph.ops):
        return None
    learned = frozenset(each for each in parts if graph.values[each].gradient and graph.values[each].kind == "made")
    onward = graph.forward_of(learned, linear) - graph.forward_of([log])
    needed = graph.backward_of(graph.roots)
    return next(
        (
            op for op in graph.ops
            if bare(op.name) in REGRESSIONS and not onward.isdisjoint(op.reads) and not needed.isdisjoint(op.makes)
            and log not in graph.forward_of(op.makes)
        ),
        None,
    )  # fmt: skip
