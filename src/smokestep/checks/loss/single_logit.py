"""Finds a softmax over a single entry: its result is 1 whatever the network says, so the loss is a constant.

## What it finds
A softmax, log-softmax or softmax cross-entropy along a dimension of length 1, on the way from the model's output to the
loss, in every step. The gradient is then exactly zero for every parameter, although an optimizer with weight decay or
momentum may still move them.

## Why it matters
The training runs, prints a loss (0 for cross-entropy) and learns nothing. A network for a yes-or-no question has
either one output under a sigmoid, or two outputs under a softmax; one under a softmax is neither.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.zeros(8, dtype=torch.long)))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 2, (8,)).float()))
```

## When to allow it
The number of classes is a setting that happens to be 1 in this test, or the example batch leaves one candidate.

## Source
A question asked again and again about wrong classifiers; 5 of the 30 buggy programs collected for DeepLocalize (Wardat,
Le and Rajan, ICSE 2021) have a one-unit softmax.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.origins import NORMALISES, bare, maker_of, narrow_layer, normalised_along
from smokestep.findings import Finding, Line, NotApplicable, Place, Severity

CONSEQUENCES = (
    "constant-loss constant-output double-softmax ignored-input ignored-target invalid-target lost-update "
    "missing-log-softmax nothing-trains unreachable-target wrong-softmax-dim zero-gradient"
)


@check(severity="defect", since="0.1", explains=tuple(CONSEQUENCES.split()))
def single_logit(losses: Losses, flow: Flow) -> Iterator[Said]:
    told: set[Line | None] = set()
    found = False
    for group in losses.trained():
        call = group[0]
        over = [each.classes == 1 and each.name in ("cross_entropy", "nll_loss") for each in group]
        softmax = [bare(each.prediction.maker) in NORMALISES and each.prediction.maker_size == 1 for each in group]
        found = found or call.classes is not None or bare(call.prediction.maker) in NORMALISES
        if not any(size > 1 for size in call.prediction.shape) and not all(
            narrow_layer(flow.graphs[each.step], each.prediction.value) for each in group
        ):
            continue  # one sample: there may be several candidates in another batch
        if all(softmax) or all(over):
            line = call.prediction.maker_line if all(softmax) and call.prediction.maker_line else call.line
            name = call.prediction.maker if all(softmax) else call.name
            told.add(line)
            yield _finding(name, line, call.prediction.shape, call.severity, call.module)
    for graph in flow.graphs[:1]:
        reaching = graph.backward_of(graph.roots)
        for outputs in (each.outputs for each in graph.calls if each.grad and len(each.outputs) == 1):
            op = maker_of(graph, outputs[0])
            if op is None or bare(op.name) not in NORMALISES or outputs[0] not in reaching:
                continue
            found = True
            narrow = normalised_along(graph, op)[1] == 1 and op.reads and narrow_layer(graph, op.reads[0])
            if narrow and op.line not in told:
                severity = Severity.SUSPICION if op.line and op.line.installed else None
                yield _finding(op.name, op.line, graph.values[outputs[0]].shape, severity, op.module)
    if not found:
        yield NotApplicable("nothing was normalised over classes before a loss")


def _finding(name: str, line: Line | None, shape: tuple[int, ...], severity: Severity | None, module: str) -> Finding:
    return Finding(
        message=f"`{name}` normalises over a single entry (of shape {list(shape)}): the result is the same whatever "
        "the network says, and its gradient is exactly zero",
        where=Place.of(module or None, line),
        cause=line,
        hint="for two classes give the last layer two units, or keep one and use binary_cross_entropy_with_logits",
        severity=severity,
        data={"shape": list(shape)},
    )
