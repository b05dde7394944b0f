"""Finds a divergence or likelihood written by hand whose sign makes the loss fall without end.

## What it finds
The logarithm of a variance or scale that the network learns, which enters the loss twice, directly and in an
exponential, with signs under which nothing balances: minus the exponential (a divergence of Gaussians that is
subtracted), or both growing the same way (a Gaussian likelihood whose logarithm has the wrong sign).

## Why it matters
The loss has no least value. It falls, faster and faster, while the scale runs off to zero or to infinity.

## Bad
```python
def training():
    encoder, decoder = nn.Linear(12, 8), nn.Linear(4, 12)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    optimizer = torch.optim.Adam(model.parameters())
    def step(x):
        mean, log_var = encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (log_var / 2).exp()
        divergence = 0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(1).mean()
        loss = (decoder(code) - x).pow(2).sum(1).mean() + divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randn(16, 12))
```

## Good
```python
def training():
    encoder, decoder = nn.Linear(12, 8), nn.Linear(4, 12)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    optimizer = torch.optim.Adam(model.parameters())
    def step(x):
        mean, log_var = encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (log_var / 2).exp()
        divergence = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(1).mean()
        loss = (decoder(code) - x).pow(2).sum(1).mean() + divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randn(16, 12))
```

## When to allow it
An adversary that is to drive a scale apart, and is held by something else.

## Source
Kingma and Welling, "Auto-Encoding Variational Bayes" (2014), appendix B.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.spreads import spreads
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1", explains=("inverted-loss",))
def bottomless_loss(flow: Flow) -> Iterator[Said]:
    found = [(graph, each) for graph in flow.graphs for each in spreads(graph)]
    if not found:
        yield NotApplicable("no logarithm of a scale is in a loss written by hand")
    told: set[Line | None] = set()
    for _, each in found:
        line = each.op.caller
        subtracted = each.sign < 0 and each.alone and each.direct == (1 if each.power > 0 else -1)
        monotone = each.sign > 0 and each.direct == (1 if each.power > 0 else -1)
        if not (subtracted or monotone) or line in told:
            continue
        told.add(line)
        what = "a scale" if each.scale else "an exponential"
        yield Finding(
            f"{what} enters the loss with a minus sign, and its logarithm with a plus: the loss has no least value"
            if subtracted
            else f"the loss grows with {what} as well as with its logarithm, so that it falls without end as that goes "
            f"to {'minus ' if each.direct > 0 else ''}infinity",
            where=Place.of(each.op.module or None, line),
            cause=line,
            hint="turn the sign of the divergence: -0.5 * (1 + log_var - mean**2 - log_var.exp())"
            if subtracted
            else "turn the sign of the logarithm",
        )
