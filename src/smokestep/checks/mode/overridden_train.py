"""Finds a class of a model whose own `train` or `eval` does not do what PyTorch's does.

## What it finds
A module that has a method `train` with another meaning (`def train(self, loader)`), which hides the switch of the same
name; one whose `train` or `eval` does not give the module back, so that `model = model.eval()` is None; and one that
does not hand the mode on to its layers. Keeping some layers in evaluation mode in `train()` is a known recipe, and is
left alone.

## Why it matters
`Module.eval()` calls `self.train(False)`, and every module calls `train(mode)` on its children: what overrides it is
run whenever something around it is switched, and decides for everything below it.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))

    def forward(self, x):
        return self.body(x)

    def train(self, mode=True):
        self.training = mode
        return self

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))

    def forward(self, x):
        return self.body(x)

    def train(self, mode=True):
        super().train(mode)
        return self

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))
```

## When to allow it
When some layers are meant to stay in training mode (Monte Carlo dropout), or when nothing ever switches the model.

## Source
The source of `torch.nn.Module.train` and `eval`.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fate import abridged
from smokestep.evidence.switching import Override, Switching
from smokestep.findings import Finding, NotApplicable, Place


@check(severity="suspicion", since="0.1")
def overridden_train(switching: Switching) -> Iterator[Said]:
    if not any(model.overrides for model in switching.models):
        yield NotApplicable("no class of the models has a `train` or `eval` of its own")
    for model in switching.models:
        if model.skipped:
            yield NotApplicable(model.skipped)
        for own in model.overrides:
            for what, hint in _wrong(own)[:1]:
                yield Finding(
                    f"`{own.class_name}.{own.method}` {what}",
                    where=Place.of(own.class_name, own.line),
                    cause=own.line,
                    hint=hint,
                    data={"stuck": len(own.stuck), "lost": len(own.lost)},
                )


def _wrong(own: Override) -> list[tuple[str, str]]:
    found = []
    if own.other:
        what = "has another meaning than PyTorch's: `model.train()` and `model.eval()` call it, and switch nothing"
        found.append(
            (what, f"give the method another name, such as `{'fit' if own.method == 'train' else 'evaluate'}`")
        )
    if own.stuck:
        what = f"leaves {abridged(list(own.stuck))} in training mode when the model is put into evaluation mode"
        found.append((what, f"call `super().{own.method}({'mode' if own.method == 'train' else ''})` in it"))
    if own.lost:
        what = f"leaves {abridged(list(own.lost))} in evaluation mode when the model is put into training mode"
        found.append((what, "call `super().train(mode)` in it"))
    if not own.returns:
        what = f"does not give the module back, so that `model = model.{own.method}()` is something else"
        found.append((what, "end it with `return self`"))
    return found
