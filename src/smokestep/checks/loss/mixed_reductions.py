"""Finds a loss in which a sum over the batch is added to a mean over the batch.

## What it finds
Two terms of one loss that both depend on the samples: one is averaged, the other added up over all entries, and no
number between says that this was meant (a factor of ten or more, either way).

## Why it matters
The sum is as many times too heavy as it has samples, and its weight changes with the size of the batch. In a
variational autoencoder whose reconstruction is a mean and whose divergence is a sum, the code collapses.

## Bad
```python
def training():
    encoder, decoder = nn.Linear(12, 8), nn.Linear(4, 12)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    optimizer = torch.optim.Adam(model.parameters())
    def step(x):
        mean, log_var = encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (log_var / 2).exp()
        divergence = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
        loss = F.mse_loss(decoder(code), x) + divergence
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
        divergence = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
        loss = F.mse_loss(decoder(code), x, reduction="sum") + divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randn(16, 12))
```

## When to allow it
When the weight was tuned for this size of the batch and is not to change.

## Source
PyTorch's own example of a variational autoencoder sums both of its terms.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.summands import Summand, summands
from smokestep.findings import Finding, Line, NotApplicable, Place


# `plain`: a factor within it is part of a formula (-0.5 in a divergence); one beyond is a weight that somebody chose.
@check(severity="suspicion", since="0.1")
def mixed_reductions(flow: Flow, losses: Losses, *, plain: float = 10.0) -> Iterator[Said]:
    roots = [(graph, root) for graph in flow.graphs for backward in graph.backwards for root in backward.roots]
    if not roots:
        yield NotApplicable("no backward pass was seen")
    told: set[Line | None] = set()
    for graph, root in roots:
        terms = summands(graph, losses, root)
        sums = [each for each in terms if each.reduction == "sum" and 1 / plain < each.factor < plain]
        means = [each for each in terms if each.reduction == "mean" and 1 / plain < each.factor < plain]
        if not sums or not means or _line(sums[0]) in told:
            continue
        told.add(_line(sums[0]))
        one, other = sums[0], means[0]
        line = _line(one)
        yield Finding(
            message=f"`{one.op.name}` adds up {list(one.shape)} entries, and `{other.op.name}` averages "
            f"{list(other.shape)}: with twice the batch the first weighs twice as much against the second",
            where=Place.of(one.op.module or None, line),
            cause=line,
            hint="take both as sums, or both as means over the samples",
            related=((mean, "the other term is a mean"),) if (mean := _line(other)) else (),
            data={"sum": list(one.shape), "mean": list(other.shape)},
        )


def _line(summand: Summand) -> Line | None:
    op = summand.op
    return op.caller if op.line and op.line.installed and op.caller else op.line
