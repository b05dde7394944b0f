"""Finds an optimizer that is stepped all the time although no loss reaches anything that it holds.

## What it finds
An optimizer whose `step` runs in every recorded step while none of its parameters takes part in any of them: it has
nothing to move. What would have moved them is missing, or was given something else (a stored action where the actor's
own belongs).

## Why it matters
One of several networks stays as it was drawn. The others train, and the loss that is watched falls.

## Bad
```python
def training():
    actor, critic = nn.Linear(4, 2), nn.Linear(6, 1)
    for_actor = torch.optim.Adam(actor.parameters())
    for_critic = torch.optim.Adam(critic.parameters())
    def step(batch):
        seen, action, reward = batch
        for_critic.zero_grad()
        F.mse_loss(critic(torch.cat([seen, action], dim=1)), reward).backward()
        for_critic.step()
        for_actor.zero_grad()
        critic(torch.cat([seen, action], dim=1)).mean().neg().backward()
        for_actor.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2), torch.randn(8, 1)))
```

## Good
```python
def training():
    actor, critic = nn.Linear(4, 2), nn.Linear(6, 1)
    for_actor = torch.optim.Adam(actor.parameters())
    for_critic = torch.optim.Adam(critic.parameters())
    def step(batch):
        seen, action, reward = batch
        for_critic.zero_grad()
        F.mse_loss(critic(torch.cat([seen, action], dim=1)), reward).backward()
        for_critic.step()
        for_actor.zero_grad()
        critic(torch.cat([seen, actor(seen)], dim=1)).mean().neg().backward()
        for_actor.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2), torch.randn(8, 1)))
```

## When to allow it
Its network joins the training later, and its optimizer is stepped from the start.

## Source
An actor whose loss scores the stored action, among the reports re-created in the ports of published faults.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fates import Fates
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def idle_optimizer(steps: Steps, fates: Fates) -> Iterator[Said]:
    if len(steps.optimizers) < 2:
        yield NotApplicable("there is one optimizer, or none")
        return
    absent = {fate.parameter for fate in fates.of("conditional") if not fate.op}
    for optimizer in steps.optimizers:
        held = [name for group in optimizer.groups for name in group.parameters]
        updates = [event for event in steps.of("update") if event.subject == optimizer.name]
        if not held or not set(held) <= absent or {event.step for event in updates} != set(range(steps.count)):
            continue
        line = updates[0].line
        yield Finding(
            f"the {optimizer.kind} that holds {', '.join(held[:3])}{' …' if len(held) > 3 else ''} was stepped "
            f"{len(updates)} times, and none of its {len(held)} parameters took part in any of the {steps.count} steps",
            where=Place.of(", ".join(held), line),
            cause=line,
            hint="look at the loss before it: it does not go through the network that this optimizer should move",
            subjects=tuple(held),
        )
