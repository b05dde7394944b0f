"""Finds a model output outside the range that was promised for it.

## What it finds
An entry of an output below or above the interval declared as `output_range=`, in any step. What a loss implies for its
input is told by `missing-log-softmax`, `double-softmax` and `unreachable-target`.

## Why it matters
Pixels outside [0, 1], actions outside their bounds, negative variances: what comes after the network clips them, or
takes them for something else, and no error is raised.

## Bad
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.rand(8, 8)), output_range=(0, 1))
```

## Good
```python
def training():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, (torch.randn(8, 4), torch.rand(8, 8)), output_range=(0, 1))
```

## When to allow it
The promise holds only after training, or after a clamp that the model leaves to its caller.

## Source
The range test of torchtest (Suriya Narayanan L., 2018), there of logits against probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.numbers import Numbers
from smokestep.findings import Finding, NotApplicable, Place


# `tolerance`: an excess that rounding in single precision can make, as a share of the bound.
@check(severity="defect", since="0.1")
def out_of_range(numbers: Numbers, *, tolerance: float = 1e-5) -> Iterator[Said]:
    promised = [output for output in numbers.outputs if output.promised is not None]
    if not promised:
        yield NotApplicable("no output_range was declared")
    told = set()
    for output in promised:
        low, high = output.promised or (None, None)
        below = low is not None and output.low < low - tolerance * max(1.0, abs(low))
        above = high is not None and output.high > high + tolerance * max(1.0, abs(high))
        if (below or above) and (output.model, output.index) not in told:
            told.add((output.model, output.index))
            limits = f"[{'-∞' if low is None else low}, {'∞' if high is None else high}]"
            maker = f", made by `{output.maker}`" if output.maker else ""
            yield Finding(
                message=f"output {output.index} of {output.model or 'the model'} goes from {output.low:.4g} to "
                f"{output.high:.4g}{maker}; promised was {limits}",
                where=Place.of(output.model or None, output.maker_line),
                cause=output.maker_line,
                hint="end the network with what keeps the promise (sigmoid, tanh, softplus), or correct output_range",
                subjects=(output.model,) if output.model else (),
                data={"low": output.low, "high": output.high, "promised": [low, high]},
            )
