"""A regression ends in a softmax over its one output, so it predicts 1 for everybody.

Source: Stack Overflow 33969059 and 34311586 in the benchmarks of DeepLocalize (Wardat et al., ICSE 2021) and
deepmufl (Ghanbari et al., ASE 2023), which files both under regression, final layer softmax.
Symptom: the loss does not change from epoch to epoch, the prediction is 1.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn

import smokestep


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1 = nn.Linear(10, 20)
        self.hidden2 = nn.Linear(20, 20)
        self.output = nn.Linear(20, 1)


class BuggyRegressor(Regressor):
    def forward(self, x):
        x = torch.tanh(self.hidden1(x))
        x = torch.tanh(self.hidden2(x))
        return F.softmax(self.output(x), dim=-1)  # FAULT


class FixedRegressor(Regressor):
    def forward(self, x):
        x = torch.tanh(self.hidden1(x))
        x = torch.tanh(self.hidden2(x))
        return self.output(x)


def training(model):
    data = load_diabetes()
    x = torch.from_numpy((data.data / data.data.std(0)).astype(np.float32))
    y = torch.from_numpy(((data.target - data.target.mean()) / data.target.std()).astype(np.float32)).view(-1, 1)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001)

    def step(batch):
        features, target = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(features), target)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x[:64], y[:64]), model=model, optimizer=optimizer)


def buggy():
    return training(BuggyRegressor())


def fixed():
    return training(FixedRegressor())
