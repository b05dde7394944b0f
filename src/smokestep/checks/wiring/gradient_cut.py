"""Finds the line that cuts the gradient off between a parameter and the loss.

## What it finds
Parameters that an optimizer holds, whose values reach the loss, and that get no gradient in any recorded step:
somewhere on the way stands a `detach`, `.data`, `.item()`, `float()`, `torch.tensor(t)`, a NumPy round trip,
`no_grad`, an `argmax`, a comparison, an index, or a function that is flat everywhere, such as `round` or `sign`.

## Why it matters
Everything runs and the loss falls, but what lies before the cut stays as it was initialised.

## Bad
```python
def training():
    encoder, head = nn.Linear(6, 8), nn.Linear(8, 2)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()])
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        features = torch.relu(encoder(x)).detach()
        loss = F.cross_entropy(head(features), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 2, (8,))))
```

## Good
```python
def training():
    encoder, head = nn.Linear(6, 8), nn.Linear(8, 2)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()])
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        features = torch.relu(encoder(x))
        loss = F.cross_entropy(head(features), y)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 2, (8,))))
```

## When to allow it
A part that is kept fixed by cutting its gradient, and that the optimizer is handed nevertheless. Leaving it out of
the optimizer, or `requires_grad_(False)`, says the same without an allowance.

## Source
torchtest, "variables must change"; PyTorch's notes on autograd mechanics, "Locally disabling gradient computation".
A detached hidden state, a target network, a straight-through estimator, a stop-gradient beside another path: none is
told, because only parameters without any gradient in any step are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fates import Fates
from smokestep.findings import NotApplicable, Open


@check(severity="defect", since="0.1", explains=("constant-output", "nothing-trains", "zero-gradient"))
def gradient_cut(fates: Fates) -> Iterator[Said]:
    """Tells every line that cuts trainable parameters off from the loss."""
    if not fates.fates:
        yield NotApplicable("no trainable parameter was found")
    for cluster in fates.clusters("cut"):
        yield cluster.told(
            f"{cluster.title} got {cluster.first.got} in {fates.steps} steps: "
            f"the loss uses {cluster.them} only through {cluster.code}, where {cluster.first.reason}"
        )
    for cluster in fates.clusters("opaque"):
        yield Open(f"{cluster.title} got no gradient in {fates.steps} steps; {cluster.first.reason}")
    for cluster in fates.clusters("unexplained"):
        if not cluster.first.op:
            yield Open(f"{cluster.title} {cluster.first.reason}")
