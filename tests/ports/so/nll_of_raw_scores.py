"""`NLLLoss`, which takes log-probabilities, is given the raw scores of the last layer: the softmax is missing.

Source: Schoop et al., UMLAUT, CHI 2021, its error missing softmax; class of missing softmax layer of Humbatova et
al., Taxonomy of real faults in deep learning systems, ICSE 2020.
Symptom: the loss falls below zero and goes on falling, the accuracy gets worse in the end.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_iris
from torch import nn

import smokestep


class IrisNet(nn.Module):
    def __init__(self, normalised):
        super().__init__()
        self.fc1 = nn.Linear(4, 20)
        self.fc2 = nn.Linear(20, 3)
        self.normalised = normalised

    def forward(self, x):
        x = self.fc2(torch.sigmoid(self.fc1(x)))
        if self.normalised:
            return F.log_softmax(x, dim=1)
        return x


def training(normalised):
    iris = load_iris()
    features = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0), dtype=torch.float32)
    species = torch.tensor(iris.target)
    net = IrisNet(normalised)
    criterion = nn.NLLLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        out = net(x)
        loss = criterion(out, y)  # FAULT
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (features, species))


def buggy():
    return training(normalised=False)


def fixed():
    return training(normalised=True)
