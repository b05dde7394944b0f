"""Finds layers whose output is computed and then used by nothing that reaches the loss.

## What it finds
Parameters that an optimizer holds, that the step uses, and that get no gradient in any recorded step, because the
last result computed from them is overwritten, never read, or not assigned. The line told is the one whose result is
dropped.

## Why it matters
The network trains, the loss falls, and a part of it is dead weight: in the case this check was first written for,
five of six convolutions were fed the input image and overwrote each other's output.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(3, 8, 3, padding=1)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        net = F.relu(self.conv1(x))
        net = F.relu(self.conv2(x))
        return self.out(net.mean(dim=(2, 3)))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(4, 3, 8, 8), torch.randint(0, 2, (4,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        net = F.relu(self.conv1(x))
        net = F.relu(self.conv2(net))
        return self.out(net.mean(dim=(2, 3)))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(4, 3, 8, 8), torch.randint(0, 2, (4,))))
```

## When to allow it
A head that this training leaves out on purpose, such as the value head of a policy that is being cloned. A
suspicion: an output handed back by the model and ignored by the step, or kept in an attribute.

## Source
Chase Roberts, "How to unit test machine learning code" (2017): convolutions that are all fed the input image.
PyTorch's `find_unused_parameters`, which sees that, and not where.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fates import Fates
from smokestep.findings import NotApplicable, Open


@check(severity="defect", since="0.1", explains=("constant-output", "ignored-input", "nothing-trains"))
def dead_branch(fates: Fates) -> Iterator[Said]:
    """Tells every line whose result, computed from trainable parameters, reaches no loss."""
    if not fates.fates:
        yield NotApplicable("no trainable parameter was found")
    for cluster in fates.clusters("dropped"):
        yield cluster.told(
            f"{cluster.title} got {cluster.first.got} in {fates.steps} steps: {cluster.code} {cluster.first.reason}"
        )
    for cluster in fates.clusters("conditional"):
        if cluster.first.op:
            yield Open(f"{cluster.title} got no gradient in {fates.steps} steps: {cluster.first.reason}")
