"""A checkpoint of a model that was wrapped for several devices."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(F.relu(self.encoder(x)))


def pretrained():
    return nn.DataParallel(Net()).state_dict()


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    model = Net()
    model.load_state_dict(pretrained(), strict=False)  # BUG: loose-loading
    return training(model)


def fixed():
    model = Net()
    state = {name.replace("module.", "", 1): value for name, value in pretrained().items()}
    model.load_state_dict(state, strict=False)
    return training(model)
