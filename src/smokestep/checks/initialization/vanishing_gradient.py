"""Finds deep networks whose gradient fades layer by layer, until the first layers get next to none.

## What it finds
A chain of at least five layers whose first weight gets, in every recorded update, less than a ten-thousandth of the
gradient of the last one's, where the loss is spread over the layers and not made at one place.

## Why it matters
The layers near the input stay as they were drawn. Plain gradient descent leaves them there, and what the last layers
learn is to make the best of random features.

## Bad
```python
def training():
    layers = []
    for _ in range(8):
        layers += [nn.Linear(16, 16), nn.Sigmoid()]
    model = nn.Sequential(*layers, nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(16, 16), torch.randint(0, 3, (16,))))
```

## Good
```python
def training():
    layers = []
    for _ in range(8):
        layers += [nn.Linear(16, 16), nn.LayerNorm(16), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(16, 16), torch.randint(0, 3, (16,))))
```

## When to allow it
Layers that are meant to learn slowly.

## Source
Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010). AutoTrainer
(Zhang et al., 2021) tells it from a thousandth on; healthy trainings that smokestep is tested with come close to that.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.depth import Course, Depth
from smokestep.findings import Finding, NotApplicable, Place


# `ratio`: a tenth of what AutoTrainer takes, see the page. `layers`: fewer are not deep. `spread`: of the whole loss,
# counted in powers, the share that one layer may take; more is a gate, a small scale, or an activation gone flat there.
@check(severity="suspicion", since="0.1")
def vanishing_gradient(depth: Depth, *, ratio: float = 1e-4, layers: int = 5, spread: float = 0.6) -> Iterator[Said]:
    chains = [chain for chain in depth.chains if len(chain.layers) >= layers]
    if not chains:
        yield NotApplicable(f"no plain chain of {layers} layers got gradient")
        return
    courses = [Course.along(chain.gradients[::-1]) for chain in chains]
    if len(chains) < len(depth.chains) or any(each.factor > ratio or each.share > spread for each in courses):
        return
    chain, names = chains[0], [layer.weight for layer in chains[0].layers]
    at = len(names) - 2 - courses[0].at  # the courses run from the last layer to the first
    line = chain.layers[at].line
    yield Finding(
        f"the gradient fades from {chain.gradients[-1]:.2g} at {names[-1]} to {chain.gradients[0]:.2g} at {names[0]}, "
        f"through {len(names)} layers; most from {names[at + 1]} to {names[at]}",
        where=Place.of(names[0], line),
        cause=line,
        hint="use ReLU with a matching initialisation, a normalization, or residual connections",
        subjects=tuple(names),
        data={"ratio": courses[0].factor, "layers": len(names)},
    )
