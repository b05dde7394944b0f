"""Finds an activation between the last layer and a loss that wants plain scores.

## What it finds
`cross_entropy`, `binary_cross_entropy_with_logits` or another loss that applies its own softmax or sigmoid, given what
a `relu`, `tanh` or the like made, with nothing in between but reshaping and picking; likewise where `log_softmax` or
`sigmoid` is called before a loss.

## Why it matters
A score that cannot be negative cannot say no: under a sigmoid no probability is below one half, and a class whose unit
is off gets no gradient at all. A score that cannot leave -1 to 1 is never sure.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3), nn.ReLU())
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))
```

## When to allow it
Scores that are counts or energies, which cannot be negative.

## Source
NeuraLint (Nikanjam et al., 2021): no activation belongs between the last layer and the loss's own. Scores bounded and
then multiplied, as by a temperature or a soft cap, are not told.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import bare, made_of_what_was, maker_of
from smokestep.findings import Finding, NotApplicable

TAKE_LOGITS = frozenset(
    "cross_entropy binary_cross_entropy_with_logits multilabel_soft_margin_loss multi_margin_loss "
    "multilabel_margin_loss sigmoid_focal_loss".split()
)
TAKE_NORMALISED = {"nll_loss": "log_softmax", "binary_cross_entropy": "sigmoid"}
ONE_SIDED = {
    "relu": "0 to infinity",
    "relu6": "0 to 6",
    "softplus": "0 to infinity",
    "elu": "-1 to infinity",
    "silu": "-0.28 to infinity",
    "gelu": "-0.17 to infinity",
    "tanh": "-1 to 1",
    "hardtanh": "-1 to 1",
    "sigmoid": "0 to 1",
    "hardsigmoid": "0 to 1",
}


@check(severity="suspicion", since="0.1", explains=("zero-gradient", "constant-loss"))
def clipped_logits(losses: Losses, flow: Flow) -> Iterator[Said]:
    groups = [group for group in losses.trained() if group[0].name in {*TAKE_LOGITS, *TAKE_NORMALISED}]
    if not groups:
        yield NotApplicable("no loss that takes plain scores was called")
    for group in groups:
        call, clip = group[0], _clip(group[0], flow.graphs[group[0].step])
        if clip is None:
            continue
        name, at = bare(clip.name), clip.caller or clip.line
        taken = TAKE_NORMALISED.get(call.name, call.name)
        yield Finding(
            f"`{taken}` wants plain scores, and is given the result of `{name}`, which is limited to {ONE_SIDED[name]}",
            where=call.place,
            cause=at or call.user_line,
            hint=f"end the network with its last layer, without `{name}`",
            related=((call.user_line, "the loss is here"),) if call.user_line and call.user_line != at else (),
            data={"activation": name},
        )


def _clip(call: LossCall, graph: Graph) -> Op | None:
    """The activation whose result the loss, or the softmax or sigmoid before it, is given."""
    if call.name in TAKE_LOGITS:
        op = maker_of(graph, call.prediction.value)
        told = op is not None and bare(op.name) == "sigmoid" and call.name != "cross_entropy"  # by double-softmax
        return op if op is not None and bare(op.name) in ONE_SIDED and not told else None
    if call.prediction.maker == TAKE_NORMALISED[call.name]:
        op = made_of_what_was(graph, call.prediction.value)
        return op if op is not None and bare(op.name) in ONE_SIDED and bare(op.name) != "sigmoid" else None
    return None
