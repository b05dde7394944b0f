"""Finds a compiled step, or a fused optimizer, that computes something else than the plain one.

## What it finds
The step is run from the same seed as it is written, and again with `torch.compile` switched off, or with the plain loop
of an optimizer that was asked to be fused, foreach or capturable. Its loss, its gradients or its updates differ by more
than rounding explains. A step that draws random numbers is not judged: compiled dropout draws others.

## Why it matters
smokestep's other checks look at the plain step. What is trained is the compiled one.

## Bad
```python
def forgets_the_sigmoid(graph, inputs):
    for node in graph.graph.nodes:
        if node.target is torch.sigmoid:
            node.replace_all_uses_with(node.args[0])
    graph.recompile()
    return graph.forward

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 16), nn.Linear(16, 2)
    def forward(self, x):
        return self.second(torch.sigmoid(self.first(x)))

def training():
    model = Net()
    compiled = torch.compile(model, backend=forgets_the_sigmoid)
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(compiled(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 16), nn.Linear(16, 2)
    def forward(self, x):
        return self.second(torch.sigmoid(self.first(x)))

def training():
    model = Net()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(compiled(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2)))
```

## When to allow it
A choice in the model hangs on the last digit (the experts that a token is sent to), so that rounding decides it.

## Source
pytorch/pytorch keeps a label for it, "module: correctness (silent)"; torch ships a minifier for accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.ways import Apart, Way, Ways
from smokestep.findings import Finding, NotApplicable, Place


# `times`: of what rounding explains, which each comparison brings along.
@check(severity="suspicion", since="0.1", on_request=True)
def compiled_mismatch(ways: Ways, *, times: float = 1.0) -> Iterator[Said]:
    if ways.why or not ways.found:
        yield NotApplicable(ways.why or "nothing is compiled, and no optimizer was asked to be fused")
    for way in ways.found:
        if way.why:
            yield NotApplicable(way.why)
            continue
        wrong = [each for each in way.apart if not each.share <= times * each.limit]
        if wrong:
            yield _finding(way, wrong)
        elif not way.apart:
            yield NotApplicable("the step gave no loss and no gradient to compare")


def _finding(way: Way, wrong: list[Apart]) -> Finding:
    worst = max(wrong, key=lambda each: each.share)
    losses = f" (loss {way.losses[0]:.6g} instead of {way.losses[1]:.6g})" if way.losses else ""
    compiled = way.kind == "compiled"
    what = f"the {worst.what}{f' of {worst.name}' if worst.name else ''}"
    return Finding(
        message=f"{'the compiled step' if compiled else f'{way.subject} with {way.kind}=True'} computes something else "
        f"than the plain one: {what} differs by {worst.share:.1%}, and rounding explains {worst.limit:.1%}{losses}",
        where=Place.of(None if compiled else way.subject, way.line),
        cause=way.line,
        hint='try backend="eager", then "aot_eager", to see which part of the compiler does it'
        if compiled
        else f"leave out {way.kind}=True, and report the difference to whoever wrote the optimizer",
        subjects=tuple(each.name for each in wrong if each.name),
        data={"share": worst.share, "limit": worst.limit, "differ": len(wrong), "losses": way.losses},
    )
