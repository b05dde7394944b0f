"""Finds a mask or weight for each sample that is multiplied with the mean of a loss, and not with its entries.

## What it finds
The mean of a loss over some entries, a single number, that is multiplied with a tensor that has one for each of those
entries, after which the product is only added up: each entry gets the same number, whatever its mask.

## Why it matters
The mask does nothing: the padding, or what was to count less, is trained on like everything else.

## Bad
```python
def training():
    model = nn.Linear(6, 4)
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y, mask = batch
        optimizer.zero_grad()
        loss = (F.mse_loss(model(x), y) * mask).sum() / mask.sum()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 6), torch.randn(8, 4), torch.randint(0, 2, (8, 4)).float()))
```

## Good
```python
def training():
    model = nn.Linear(6, 4)
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y, mask = batch
        optimizer.zero_grad()
        loss = (F.mse_loss(model(x), y, reduction="none") * mask).sum() / mask.sum()
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 6), torch.randn(8, 4), torch.randint(0, 2, (8, 4)).float()))
```

## When to allow it
The whole loss is to be weighed by what the tensor adds up to.

## Source
The `reduction` of PyTorch's losses is "mean" unless another is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.losses import Losses
from smokestep.evidence.origins import bare
from smokestep.evidence.roots import fed_by_gradient
from smokestep.findings import Finding, Line, NotApplicable, Place

Shape = tuple[int, ...]
SCALES = frozenset("mul div __mul__ __rmul__ true_divide __truediv__ neg __neg__".split())


@check(severity="suspicion", since="0.1", explains=("padded-loss",))
def mask_after_mean(flow: Flow, losses: Losses) -> Iterator[Said]:
    if not any(graph.backwards for graph in flow.graphs):
        yield NotApplicable("no backward pass was seen")
    told: set[Line | None] = set()
    for graph in flow.graphs:
        fed = fed_by_gradient(graph)
        means = {c.result: c.prediction.shape for c in losses.calls if c.step == graph.step and c.reduction == "mean"}
        for op in graph.ops:
            pair = [graph.values[read] for read in op.reads]
            if bare(op.name) != "mul" or len(pair) != 2 or fed.isdisjoint(op.makes) or op.caller in told:
                continue
            number, weight = sorted(pair, key=lambda each: len(each.shape))
            over = _averaged(graph, number.id, means) if number.requires_grad and not number.shape else None
            if over is None or weight.requires_grad or not _one_each(weight.shape, over):
                continue
            if not _from_data(graph, weight.id) or not _only_added_up(graph, op):
                continue
            told.add(op.caller)
            yield Finding(
                f"a tensor of shape {list(weight.shape)} is multiplied with the mean over {list(over)} entries, a "
                "single number, and the product added up: the tensor picks nothing out",
                where=Place.of(op.module or None, op.caller),
                cause=op.caller,
                hint='ask the loss for reduction="none", multiply, and take the mean then',
                data={"weight": list(weight.shape), "mean": list(over)},
            )


def _averaged(graph: Graph, value: int, means: dict[int, Shape]) -> Shape | None:
    """The shape over which a number is a mean, where it is one, times plain numbers."""
    while value not in means:
        op = graph.maker(value)
        if op is None or not op.reads:
            return None
        if op.name == "mean":
            return graph.values[op.reads[0]].shape
        if op.name not in SCALES or len(op.reads) != 1:
            return None
        value = op.reads[0]
    return means[value]


def _one_each(weight: Shape, over: Shape) -> bool:
    """Whether it has an entry for each sample, each entry, or each entry but for the classes."""
    if not weight or all(size == 1 for size in weight):
        return False
    without_classes = over[:1] + over[2:]
    plain = tuple(size for size in weight if size != 1)
    return any(plain == tuple(n for n in shape if n != 1) for shape in (over, over[:1], without_classes, over[:2]))


def _from_data(graph: Graph, value: int) -> bool:
    return any(graph.values[each].kind == "input" for each in graph.backward_of([value]))


def _only_added_up(graph: Graph, op: Op) -> bool:
    after = graph.readers().get(op.makes[0], ())
    return bool(after) and all(
        each.name in ("sum", "mean") and all(not graph.values[made].shape for made in each.makes) for each in after
    )
