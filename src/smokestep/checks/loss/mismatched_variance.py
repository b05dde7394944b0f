"""Finds a variational autoencoder whose sample and whose divergence disagree on what the network's output means.

## What it finds
A sample `mean + noise * scale` whose scale is another function of the network's output than the divergence written
beside it says: with the variance `exp(v)` there, the scale is `exp(v / 2)`, and neither `exp(v)` nor `v`. Or a
divergence that is given the scale where the logarithm of the variance belongs.

## Why it matters
The divergence pulls one distribution towards the prior, and the decoder is given samples of another. What is drawn
from the prior afterwards is not what the decoder was trained on; no number shows it.

## Bad
```python
def training():
    encoder, decoder = nn.Linear(12, 8), nn.Linear(4, 12)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    optimizer = torch.optim.Adam(model.parameters())
    def step(x):
        mean, log_var = encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * log_var.exp()
        divergence = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(1).mean()
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
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
        divergence = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(1).mean()
        loss = (decoder(code) - x).pow(2).sum(1).mean() + divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randn(16, 12))
```

## When to allow it
When noise of another size than the posterior's is meant.

## Source
Kingma and Welling, "Auto-Encoding Variational Bayes" (2014), section 3 and appendix B.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.origins import bare
from smokestep.evidence.spreads import samples, spreads
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def mismatched_variance(flow: Flow) -> Iterator[Said]:
    found = [(graph, each) for graph in flow.graphs for each in spreads(graph) if each.alone]
    if not found:
        yield NotApplicable("no divergence of Gaussians is written by hand")
    told: set[Line | None] = set()
    for graph, each in found:
        maker = graph.maker(each.value)
        if not each.scale and maker is not None and bare(maker.name) in ("exp", "sqrt"):
            if each.op.caller in told:
                continue
            told.add(each.op.caller)
            yield Finding(
                f"the divergence takes the result of `{bare(maker.name)}` for the logarithm of a variance: it is never "
                "negative, so that no variance is below 1",
                where=Place.of(each.op.module or None, each.op.caller),
                cause=each.op.caller,
                hint="give the divergence the logarithm: -0.5 * (1 + log_var - mean**2 - log_var.exp())",
                related=((maker.caller, "this is made here"),) if maker.caller else (),
            )
            continue
        for sample, power in samples(graph, each):
            line = sample.caller
            if power == each.power / 2 or line in told:
                continue
            told.add(line)
            base = "v" if each.scale else "exp(v)"
            variance = base if each.power == 1 else f"{base} to the power {each.power:g}"
            scale = "v itself" if power is None else f"{base} to the power {power:g}"
            yield Finding(
                f"the noise is multiplied by {scale}, where the divergence takes the variance to be {variance}: "
                f"its root would be the power {each.power / 2:g}",
                where=Place.of(sample.module or None, line),
                cause=line,
                hint="sample with the scale that belongs to it: mean + noise * torch.exp(0.5 * log_var)",
                related=((each.op.caller, "the divergence is here"),) if each.op.caller else (),
            )
