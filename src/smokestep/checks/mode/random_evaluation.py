"""Finds noise or masks that a model draws in evaluation mode, too, so that two equal calls of it differ.

## What it finds
A model whose output differs between two equal calls in evaluation mode, because it still adds Gaussian noise of a fixed
scale to what it computes, multiplies it by a random mask and scales up what is left, or drops attention weights
(`dropout_p` is passed without asking whether the model trains). What is sampled on purpose is left alone:
reparameterised or discrete samples, noise of a learned or scheduled scale, random indices, and noise that is used
twice.

## Why it matters
The evaluation is noisy and too low, two runs of it differ, and nothing in the training itself looks wrong.
`scaled_dot_product_attention` and functions written by hand know nothing of `model.eval()`.

## Bad
```python
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 2)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.out(F.scaled_dot_product_attention(q, k, v, dropout_p=0.1).mean(1))

def training():
    model = Attention()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 5, 8), torch.randint(0, 2, (8,))))
```

## Good
```python
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 2)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        p = 0.1 if self.training else 0.0
        return self.out(F.scaled_dot_product_attention(q, k, v, dropout_p=p).mean(1))

def training():
    model = Attention()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 5, 8), torch.randint(0, 2, (8,))))
```

## When to allow it
When the network is meant to be random in evaluation, too (Monte Carlo dropout, randomised smoothing).

## Source
PyTorch's documentation of `scaled_dot_product_attention`: it "always applies dropout according to the specified
`dropout_p` argument", whatever the mode.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.repeat import Draw, Repeats
from smokestep.findings import Finding, NotApplicable, Place

WHAT = {
    "attention": "attention drops weights: `dropout_p` is not 0",
    "mask": "`{name}` draws a mask that multiplies what the model computes",
    "noise": "`{name}` draws noise that is added to what the model computes",
}
HINTS = {
    "attention": "pass `dropout_p=self.p if self.training else 0.0`",
    "mask": "draw the mask only `if self.training`",
    "noise": "add the noise only `if self.training`",
}


@check(severity="suspicion", since="0.1")
def random_evaluation(repeats: Repeats) -> Iterator[Said]:
    if not repeats.models:
        yield NotApplicable("no model was called")
    for model in repeats.models:
        if model.skipped:
            yield NotApplicable(model.skipped)
        told = [draw for draw in model.draws if draw.use != "other"]
        if model.apart and not told:
            yield NotApplicable("it draws in evaluation mode, as far as one can tell on purpose")
        for draw in told:
            yield Finding(
                f"two equal calls in evaluation mode differ by {model.apart:.2g} of the output's scale: "
                + WHAT[draw.use].format(name=draw.name),
                where=Place.of(_place(draw, model.model), draw.line),
                cause=draw.line,
                hint=HINTS[draw.use],
                subjects=(_place(draw, model.model),),
                data={"apart": model.apart, "draw": draw.name},
            )


def _place(draw: Draw, model: str) -> str:
    return draw.module or model
