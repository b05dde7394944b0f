"""Finds a network that is moved by another network's loss, where the flow proves that the two ask for opposite things.

## What it finds
Without any declaration, from what each update used and what each loss asked: a critic or discriminator that has a loss
of its own, and is then moved by the loss of the network that it judges. Proof is that the one loss wants the judge's
output on the same network's output at another number, or in the other direction, than the other (a GAN with one
optimizer over all variables); or that the judge, fitted by a regression of its own, is also moved by a loss linear in
its output, which it can lower without end (actor and critic). An advantage that is not detached is a suspicion.

## Why it matters
Both losses fall, since the judge learns to be fooled. Samples stay noise, values run away; nothing raises.

## Bad
```python
def training() -> smokestep.Training:
    actor, critic = nn.Linear(3, 1), nn.Linear(4, 1)
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()])

    def step(batch):
        state, action, value = batch
        optimizer.zero_grad()
        F.mse_loss(critic(torch.cat([state, action], 1)), value).backward()
        optimizer.step()
        optimizer.zero_grad()
        (-critic(torch.cat([state, actor(state)], 1)).mean()).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randn(8, 1), torch.randn(8, 1)))
```

## Good
```python
def training() -> smokestep.Training:
    actor, critic = nn.Linear(3, 1), nn.Linear(4, 1)
    acting, judging = torch.optim.Adam(actor.parameters()), torch.optim.Adam(critic.parameters())

    def step(batch):
        state, action, value = batch
        judging.zero_grad()
        F.mse_loss(critic(torch.cat([state, action], 1)), value).backward()
        judging.step()
        acting.zero_grad()
        (-critic(torch.cat([state, actor(state)], 1)).mean()).backward()
        acting.step()

    return smokestep.Training(step, (torch.randn(8, 3), torch.randn(8, 1), torch.randn(8, 1)))
```

## When to allow it
When one update is meant to move both networks against each other's loss.

## Source
Chase Roberts, "How to unit test machine learning code" (2017): a GAN whose optimizers were given every variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smokestep.check import check
from smokestep.evidence.fate import abridged
from smokestep.evidence.roles import Push, Roles
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity


@check(severity="defect", since="0.1", explains=("stale-gradients",))
def foreign_parameters(steps: Steps, roles: Roles) -> Iterator[Finding | NotApplicable]:
    if len(roles.networks or ()) < 2:
        yield NotApplicable("fewer than two networks were called by themselves")
        return
    for network in roles.networks or ():
        pushes = [push for push in roles.pushes if push.network == network]
        proof = _proof(pushes)
        if proof is None:
            continue
        foreign, own, why, severity = proof
        optimizer = next((each for each in steps.optimizers if each.name == foreign.update.subject), None)
        holds = {name for group in optimizer.groups for name in group.parameters} if optimizer else set()
        other = next(iter(sorted(foreign.along or foreign.scales)), "")
        shared = bool(holds & (roles.networks or {}).get(other, frozenset()))
        line = optimizer.line if optimizer and shared and optimizer.line else foreign.update.line
        lines = (
            (own.line, "its own loss"),
            (foreign.line, f"the loss of {other}"),
            (foreign.update.line, "the update"),
        )
        yield Finding(
            f"{network} is also moved by the loss of {other}, which {why}",
            where=Place.of(abridged(foreign.parameters), line),
            cause=line,
            hint=f"give {network} and {other} an optimizer each"
            if shared and foreign.along
            else f"clear {network}'s gradients before its own backward pass, or detach what that loss should not reach",
            severity=severity,
            subjects=foreign.parameters,
            related=tuple((each, note) for each, note in lines if each and each != line),
            data={"network": network, "other": other, "optimizer": foreign.update.subject},
        )


def _proof(pushes: Sequence[Push]) -> tuple[Push, Push, str, Severity | None] | None:
    """The push that is foreign, one of the network's own, and what contradicts: it must hold in every recorded step."""
    kinds: dict[tuple[object, object], list[Push]] = {}
    for push in pushes:
        kinds.setdefault((push.line, push.loss), []).append(push)
    for these in kinds.values():
        for those in kinds.values():
            if these is not those and (found := _against(these, those)):
                return found
        if all(push.scales and push.fitted and not push.along for push in these):
            return these[0], these[0], "multiplies its output, which is not detached", Severity.SUSPICION
    return None


def _against(these: Sequence[Push], those: Sequence[Push]) -> tuple[Push, Push, str, Severity | None] | None:
    """Whether the one loss (`these`) is foreign to a network that the other (`those`) trains."""
    foreign, own = these[0], those[0]
    together = not {push.update.index for push in these}.isdisjoint(push.update.index for push in those)
    if together and (foreign.update.subject in foreign.movers or any(push.stale for push in these)):
        return None  # one update of both networks by the sum of two losses; or gradients that are never cleared
    if all(push.along and not push.custom for push in these):
        on = [p for p in those if p.over & foreign.along and p.origin == foreign.origin and not p.custom]
        if on and len(these) <= len(those):
            severity = Severity.SUSPICION if "" in foreign.origin and (together or on[0].along) else None
            if _differ({p.target for p in these}, {p.target for p in on}):
                numbers = f"wants {foreign.target:g} of its output where its own loss wants {on[0].target:g}"
                return foreign, on[0], numbers, severity
            if _differ({p.sign for p in these}, {p.sign for p in on}):
                return foreign, on[0], "pushes its output the other way than its own loss", severity
        endless = all(p.linear and any(rank for _, rank in p.used) for p in these) and _one({p.sign for p in these})
        if endless and all(not p.linear and not p.along and p.used == foreign.used for p in those):
            return foreign, own, "is linear in its output, which its own loss fits, and so has no least value", None
    if all(p.scales and p.linear and not p.along for p in these) and all(not p.linear for p in those):
        return foreign, own, "multiplies its output, which is not detached", Severity.SUSPICION
    return None


def _one(values: set[float | None] | set[int | None]) -> bool:
    return len(values) == 1 and None not in values


def _differ(these: set[float | None] | set[int | None], those: set[float | None] | set[int | None]) -> bool:
    return _one(these) and _one(those) and these != those
