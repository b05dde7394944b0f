"""Finds a loss whose target says nothing about the data.

## What it finds
A prediction compared with itself (a defect: the loss is 0 by construction), with something computed from that very
prediction (`logits.argmax(1)`), or with a constant of its own shape (`zeros_like`) while the labels of the batch
reach no loss at all.

## Why it matters
The loss falls, quickly and to zero, because the network agrees with itself. Nothing about the data is learned. It
happens when a variable name is reused.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        y = out = model(x)
        loss = F.mse_loss(out, y.detach())
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        out = model(x)
        loss = F.mse_loss(out, y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2)))
```

## When to allow it
Self-training, entropy minimisation, or a penalty that pulls the output to a constant.

## Source
Metamorphic checks of the loss: TheDeepChecker (Ben Braiek and Khomh, 2023).
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import maker_of, same_entries
from smokestep.evidence.paths import SHAPE_ONLY
from smokestep.findings import Finding, NotApplicable, Severity

DISTANCES = frozenset("mse_loss l1_loss smooth_l1_loss huber_loss".split())
BLANK = frozenset("zeros_like ones_like full_like zeros ones full new_zeros new_ones new_full".split())
CONSEQUENCES = ("constant-loss", "zero-gradient", "nothing-trains", "lost-update", "target-gradient")


@check(severity="defect", since="0.1", explains=CONSEQUENCES)
def ignored_target(losses: Losses, flow: Flow) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].target]
    if not groups:
        yield NotApplicable("no recognised loss with a target was called")
    for group in groups:
        call = group[0]
        graphs = [flow.graphs[each.step] for each in group]
        pairs = list(zip(group, graphs, strict=True))
        what, severity = "", Severity.SUSPICION
        if call.name in DISTANCES and all(_itself(each, graph) for each, graph in pairs):
            what = "the prediction with itself: the loss is 0 whatever the network says"
            severity = call.severity or Severity.DEFECT
        elif all(_idle_labels(flow.graphs[step]) for step in {each.step for each in group}):
            if all(_from_itself(each, graph) and not _blank(each) for each, graph in pairs):
                what = "the prediction with something computed from that same prediction, and no label reaches a loss"
            elif len(groups) == 1 and all(_blank(each) and _instead(each, graph) for each, graph in pairs):
                what = "the prediction with a constant, and no label of the batch reaches a loss"
        if what:
            yield Finding(
                message=f"`{call.name}` compares {what}",
                where=call.place,
                cause=call.user_line,
                hint="give the labels of the batch as the target",
                severity=severity,
                data={"target": call.target.maker if call.target else ""},
            )


def _itself(call: LossCall, graph: Graph) -> bool:
    assert call.target is not None
    same = call.prediction.shape == call.target.shape
    return same and same_entries(graph, call.prediction.value) == same_entries(graph, call.target.value)


def _from_itself(call: LossCall, graph: Graph) -> bool:
    """Every way from the target back to the data leads through the prediction."""
    assert call.target is not None
    source = same_entries(graph, call.prediction.value)
    needed = graph.backward_of([call.target.value], through=lambda op: source not in op.makes)
    kinds = {graph.values[each].kind for each in needed if each in graph.values and each != source}
    return source in needed and kinds <= {"made"}


def _blank(call: LossCall) -> bool:
    return call.target is not None and call.target.maker in BLANK and call.target.low == call.target.high


def _instead(call: LossCall, graph: Graph) -> bool:
    """A constant that stands for data: a distance is taken to it, or it was made in the likeness of the batch's own."""
    op = maker_of(graph, call.target.value) if call.target else None
    read = [graph.values[each] for each in op.reads if each in graph.values] if op else []
    return call.name in DISTANCES or any(each.kind == "input" and each.name.startswith("batch") for each in read)


def _idle_labels(graph: Graph) -> bool:
    """The batch has elements that reach no loss, and all that reach one go into a model."""
    reaching = graph.backward_of(graph.roots, through=lambda op: op.name not in SHAPE_ONLY)
    inputs = {value for call in graph.calls for _, value in call.inputs}
    batch = [value.id for value in graph.values.values() if value.kind == "input" and value.name.startswith("batch")]
    used = [each for each in batch if each in reaching]
    return 0 < len(used) < len(batch) and all(not graph.forward_of([each]).isdisjoint(inputs) for each in used)
