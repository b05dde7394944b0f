"""Finds a step that changed parameters outside the set that it is declared to train.

## What it finds
`Training(…, trains={"generator": generator})` says what each step trains; everything else must stay bit for bit as it
was while that step runs, and so must all that `untouched` names. What changed anyway is listed, with what did it.
Parameters that were only written by hand (an averaged teacher) are a suspicion, buffers that `untouched` does not
name as well; running statistics have a check of their own.

## Why it matters
A generator's step that also moves the discriminator teaches it to be fooled: both losses fall, and nothing is learned.

## Bad
```python
def training() -> smokestep.Training:
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 2)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()])

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(head(encoder(batch[0])), batch[1]).backward()
        optimizer.step()

    batch = (torch.randn(8, 3), torch.randint(0, 2, (8,)))
    return smokestep.Training(step, batch, model={"encoder": encoder, "head": head}, trains=head)
```

## Good
```python
def training() -> smokestep.Training:
    encoder, head = nn.Linear(3, 4).requires_grad_(False), nn.Linear(4, 2)
    optimizer = torch.optim.Adam(head.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(head(encoder(batch[0])), batch[1]).backward()
        optimizer.step()

    batch = (torch.randn(8, 3), torch.randint(0, 2, (8,)))
    return smokestep.Training(step, batch, model={"encoder": encoder, "head": head}, trains=head)
```

## When to allow it
Rather widen the declaration: what a step changes on purpose belongs into its `trains`.

## Source
Chase Roberts, "How to unit test machine learning code" (2017), and his mltest: each training step trains its own
variables only.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import check
from smokestep.evidence.declared import Declared
from smokestep.evidence.fate import abridged
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place, Severity

# Buffers that power iteration moves in every forward pass, in both kinds of torch's spectral norm.
ITERATED = ("_u", "_v")


@check(severity="defect", since="0.1", explains=("foreign-parameters",))
def foreign_update(steps: Steps, declared: Declared) -> Iterator[Finding | NotApplicable]:
    if not declared.trains and not declared.untouched:
        yield NotApplicable("neither trains nor untouched is declared")
        return
    parameters = {each.name for each in steps.parameters}
    for name in dict.fromkeys((*declared.trains, *declared.untouched)):
        named = declared.untouched.get(name, frozenset())
        outside = declared.changed.get(name, frozenset())
        if name in declared.trains:
            outside = outside - declared.trains[name] | outside & named
        else:
            outside = outside & named
        own = [event for event in steps.events if not declared.order or declared.order[event.step] == name]
        updates = [event for event in own if event.kind == "update"]
        writes = [event for event in own if event.kind == "manual"]
        by_optimizer = sorted(each for each in outside if any(each in event.parameters for event in updates))
        rest = sorted(outside - set(by_optimizer))
        rest = [each for each in rest if each in named or each in parameters or not each.endswith(ITERATED)]
        certain = [each for each in rest if each in named]
        for names, events, severity in (
            (by_optimizer, updates, None),
            (certain, writes, None),
            ([each for each in rest if each not in certain], writes, Severity.SUSPICION),
        ):
            if not names:
                continue
            doer = next((event for event in events if set(names) & set(event.parameters)), None)
            line = doer.line if doer else None
            yield Finding(
                f"the step {name!r} changed what it is not declared to train"
                if name
                else "the step changed what it must not",
                where=Place.of(abridged(names), line),
                cause=line,
                hint="give each network an optimizer of its own"
                if doer and doer.kind == "update"
                else "declare it in trains= if the step changes it on purpose",
                severity=severity,
                subjects=tuple(names),
                data={"changed": len(names), "optimizer": doer.subject if doer else ""},
            )
