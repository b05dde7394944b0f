"""Finds a generator and a discriminator that do not work against each other: their losses ask for the same.

## What it finds
A network that is trained on data and on another network's output. Either both are to get one and the same constant
label, so that there is nothing to tell apart; or the other network is trained, through this one, to get the label, or
the direction, which this one gives to generated samples, instead of the opposite.

## Why it matters
A discriminator that calls all things real learns nothing, and a generator that helps it makes samples that are as easy
to recognise as possible. Both losses fall.

## Bad
```python
def training():
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6))
    discriminator = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    g_optimizer = torch.optim.Adam(generator.parameters())
    d_optimizer = torch.optim.Adam(discriminator.parameters())
    loss = nn.BCEWithLogitsLoss()
    def step(real):
        fake, ones, zeros = generator(torch.randn(8, 4)), torch.ones(8, 1), torch.zeros(8, 1)
        d_optimizer.zero_grad()
        (loss(discriminator(real), ones) + loss(discriminator(fake.detach()), zeros)).backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        loss(discriminator(fake), zeros).backward()
        g_optimizer.step()
    return smokestep.Training(step, torch.randn(8, 6))
```

## Good
```python
def training():
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6))
    discriminator = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    g_optimizer = torch.optim.Adam(generator.parameters())
    d_optimizer = torch.optim.Adam(discriminator.parameters())
    loss = nn.BCEWithLogitsLoss()
    def step(real):
        fake, ones, zeros = generator(torch.randn(8, 4)), torch.ones(8, 1), torch.zeros(8, 1)
        d_optimizer.zero_grad()
        (loss(discriminator(real), ones) + loss(discriminator(fake.detach()), zeros)).backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        loss(discriminator(fake), ones).backward()
        g_optimizer.step()
    return smokestep.Training(step, torch.randn(8, 6))
```

## When to allow it
The two are to cooperate, as an embedder of watermarks and their detector.

## Source
Goodfellow et al., "Generative Adversarial Nets" (2014); PyTorch's DCGAN tutorial, the labels of the generator's step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smokestep.check import Said, check
from smokestep.evidence.roles import Push, Roles
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def unopposed_labels(roles: Roles) -> Iterator[Said]:
    judges = [name for name in roles.networks or () if _of(roles, name, over=True) and _of(roles, name, over=False)]
    if not judges:
        yield NotApplicable("no network is trained on data and on another network's output")
    for judge in judges:
        real, fake = _of(roles, judge, over=False), _of(roles, judge, over=True)
        if {push.update.index for push in real} != {push.update.index for push in fake}:
            continue
        shown, made = _label(real), _label(fake)
        maker = next(iter(sorted(fake[0].over)))
        if shown is not None and shown == made:
            if not fake[0].fitted:
                yield _finding(fake[0], f"{judge} is to give {shown:g} to data and to what {maker} makes alike")
            continue
        if shown is None and (_way(real) is None or _way(real) == _way(fake)):
            continue  # nothing says that it tells the two apart
        for generator in sorted({name for push in fake for name in push.over}):
            pushes = [p for p in roles.pushes if p.network == generator and judge in dict(p.through) and not p.custom]
            apart = {push.update.index for push in pushes}.isdisjoint(push.update.index for push in fake)
            wanted, way = _label(pushes), _way(pushes, judge)
            # A label says which way only with its sign: the minimax game maximises the loss of the judge's own label.
            same = wanted == made and way is not None and way == _way(fake)
            if pushes and apart and same:
                what = f"the label {made:g}" if made is not None else "the direction"
                why = f"{generator} is trained to get {what} that {judge} gives to what {generator} makes"
                yield _finding(pushes[0], why)


def _finding(push: Push, why: str) -> Finding:
    line = push.loss or push.line
    return Finding(
        f"{why}: they do not work against each other",
        where=Place.of(push.network, line),
        cause=line,
        hint="label data 1 and generated samples 0 in the discriminator's step, and 1 in the generator's",
        related=((push.line, "the backward pass"),) if push.line and push.line != line else (),
    )


def _of(roles: Roles, network: str, *, over: bool) -> list[Push]:
    """The pushes of a network on data, or on another network's output that this does not move."""
    return [p for p in roles.pushes if p.network == network and bool(p.over) == over and not (p.along or p.custom)]


def _label(pushes: Sequence[Push]) -> float | None:
    """The one number that all of them want."""
    labels = {push.target for push in pushes}
    return labels.pop() if len(labels) == 1 else None


def _way(pushes: Sequence[Push], judge: str = "") -> int | None:
    """The one sign of d loss / d (the judge's output), where that says what is wanted; a fit pushes both ways."""
    if judge and any(push.fitted for push in pushes):
        return None
    free = [push for push in pushes if not push.fitted]  # a penalty on derivatives calls the judge as well
    ways = {dict(push.through).get(judge) if judge else push.sign for push in free}
    return ways.pop() if len(ways) == 1 else None
