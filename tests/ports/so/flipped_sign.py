"""The log-likelihood is minimised: the minus of the negative log-likelihood is missing.

Source: Ben Braiek & Khomh, Testing feedforward neural networks training programs (TheDeepChecker), 2022: flipped
sign of the loss.
Symptom: the loss falls without end and the accuracy goes to zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_iris
from torch import nn

import smokestep


def cross_entropy(logits, labels, sign):
    log_probabilities = F.log_softmax(logits, dim=1)
    picked = log_probabilities[torch.arange(len(labels)), labels]
    return sign * picked.mean()  # FAULT


def training(sign):
    iris = load_iris()
    x = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0), dtype=torch.float32)
    y = torch.tensor(iris.target)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y, sign)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(+1)


def fixed():
    return training(-1)
