"""A forecaster whose squared errors are masked, and then averaged over all positions."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 16, batch_first=True)
        self.out = nn.Linear(16, 3)

    def forward(self, series, mask):
        hidden, _ = self.rnn(series * mask.unsqueeze(-1))
        return self.out(hidden) * mask.unsqueeze(-1)


def over_all(errors, mask):
    return (errors * mask.unsqueeze(-1)).mean()  # BUG?: padded-loss


def over_real(errors, mask):
    return (errors * mask.unsqueeze(-1)).sum() / (mask.sum() * errors.shape[-1])


def training(reduce):
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        series, following, mask = batch["series"], batch["following"], batch["mask"]
        optimizer.zero_grad(set_to_none=True)
        loss = reduce((model(series, mask) - following) ** 2, mask)
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    mask = (torch.arange(16) < torch.tensor([16, 9, 5, 11, 7])[:, None]).float()
    series, following = (torch.randn(5, 16, 3) * mask.unsqueeze(-1) for _ in range(2))
    return smokestep.Training(step, {"series": series, "following": following, "mask": mask})


def buggy():
    return training(over_all)


def fixed():
    return training(over_real)
