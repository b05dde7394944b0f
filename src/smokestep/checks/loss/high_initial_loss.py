"""Finds a classifier whose first loss is far above that of guessing, because its last layer answers too loudly.

## What it finds
A cross-entropy over C classes whose first value is more than twice log C, the loss of guessing, plus one, and whose
scores come straight from a layer: nothing scales them by a temperature.

## Why it matters
The first thousands of steps only make the scores smaller, and the gradients meanwhile are those of confident errors.
It happens where an output layer shares its weight with an embedding drawn from the unit normal distribution, where
layers are drawn too wide, or where inputs come in as 0 to 255.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 64)
        self.head = nn.Linear(64, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(torch.tanh(self.embed(ids)))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 50, (4, 9)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 64)
        self.head = nn.Linear(64, 50, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(torch.tanh(self.embed(ids)))

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 50, (4, 9)))
```

## When to allow it
When a trained model goes on with other labels than it has learned.

## Source
Karpathy, "A Recipe for Training Neural Networks" (2019): "verify loss @ init".
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.accumulation import counted
from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import LINEAR_LAYERS, VIEWS, bare, made_of_what_was, maker_of
from smokestep.findings import Finding, NotApplicable, Place

PRODUCTS = LINEAR_LAYERS | frozenset("matmul __matmul__ __rmatmul__ mm bmm einsum baddbmm".split())


# `times`, `plus`: of 168 first losses of correct small trainings, three were higher, and all of them use a temperature.
# `least`: fewer targets than this say little about the mean.
@check(severity="suspicion", since="0.1")
def high_initial_loss(
    losses: Losses, flow: Flow, *, times: float = 2.0, plus: float = 1.0, least: int = 8
) -> Iterator[Said]:
    groups = [group[0] for group in losses.trained() if group[0].step == 0 and _plain(group[0], least)]
    if not groups:
        yield NotApplicable("no mean cross-entropy over enough class labels was taken in the first step")
    for call in groups:
        guess = math.log(call.classes or 1)
        layer = _layer(flow.graphs[0], call)
        if call.loss is None or not times * guess + plus < call.loss < math.inf or not layer:
            continue
        low, high = call.prediction.low, call.prediction.high
        scores = f"; its scores reach from {low:.3g} to {high:.3g}" if low is not None and high is not None else ""
        yield Finding(
            message=f"the first `{call.name}` is {call.loss:.4g}, and guessing among {call.classes} classes would give "
            f"{guess:.4g}{scores}",
            where=Place.of(layer, call.user_line),
            cause=call.user_line,
            hint="draw the last layer's weight smaller (0.02 where it is shared with an embedding); scale the inputs",
            subjects=(layer,),
            data={"loss": call.loss, "guessing": guess, "classes": call.classes},
        )


def _plain(call: LossCall, least: int) -> bool:
    labels = call.name in ("cross_entropy", "nll_loss") and call.target is not None
    indices = labels and call.target is not None and call.target.shape != call.prediction.shape
    return indices and call.reduction == "mean" and (call.classes or 0) > 1 and (counted(call) or 0) >= least


def _layer(graph: Graph, call: LossCall) -> str:
    """The parameter of the layer that the scores come from, "" if something else made them."""
    op = maker_of(graph, call.prediction.value)
    if op is not None and bare(op.name) == "log_softmax":
        op = made_of_what_was(graph, call.prediction.value)
    if op is None or bare(op.name) not in PRODUCTS:
        return ""
    return next((name for read in op.reads[1:] if (name := _parameter(graph, read))), "")


def _parameter(graph: Graph, value: int) -> str:
    while (op := graph.maker(value)) is not None and op.reads and op.name in VIEWS:
        value = op.reads[0]
    found = graph.values.get(value)
    return found.name if found is not None and found.kind == "parameter" else ""
