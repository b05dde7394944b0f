"""A check of one's own: no recorded update may move a parameter by more than a tenth of its size.

A check is a function from evidence to findings. Its positional parameters are the evidence that it reads, its
keyword-only parameters are its options, and this text is the page that explains it.

    python examples/custom_check.py
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Place


@smokestep.check(severity="suspicion", since="0.1")
def large_update(steps: Steps, *, limit: float = 0.1):
    """Finds parameters that one update moved by a large part of their size."""
    if not steps.of("update"):
        yield NotApplicable("no optimizer stepped")
    shares = {
        parameter.name: max(
            (move.update / move.scale for move in steps.moves(parameter.name) if move.scale), default=0.0
        )
        for parameter in steps.parameters
    }
    large = [name for name, share in shares.items() if share > limit]
    if large:
        worst = max(large, key=shares.__getitem__)
        line = next((event.line for event in steps.of("update")), None)
        yield Finding(
            f"one update moved {worst} by {shares[worst]:.0%} of its largest entry; the limit is {limit:.0%}",
            where=Place.of(", ".join(large), line),
            cause=line,
            hint="lower the learning rate, or warm it up",
            subjects=tuple(large),
        )


def training(lr=0.5):
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))


def main():
    print(smokestep.examine(training, checks=[large_update]))


if __name__ == "__main__":
    main()
