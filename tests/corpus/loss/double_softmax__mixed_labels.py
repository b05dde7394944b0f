"""Mixup weighs two cross entropies on one line; only the second is given probabilities."""

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def batch():
    return torch.randn(15, 7), torch.randint(0, 4, (15,))


def buggy() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(7, 20), nn.Tanh(), nn.Linear(20, 4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

    def train_step(data):
        x, y = data
        share = torch.distributions.Beta(0.4, 0.4).sample().item()
        other = torch.randperm(len(x))
        logits = net(share * x + (1 - share) * x[other])
        probabilities = F.softmax(logits, dim=1)  # BUG: double-softmax
        loss = share * F.cross_entropy(logits, y) + (1 - share) * F.cross_entropy(probabilities, y[other])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(train_step, batch())


def fixed() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(7, 20), nn.Tanh(), nn.Linear(20, 4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

    def train_step(data):
        x, y = data
        share = torch.distributions.Beta(0.4, 0.4).sample().item()
        other = torch.randperm(len(x))
        logits = net(share * x + (1 - share) * x[other])
        loss = share * F.cross_entropy(logits, y) + (1 - share) * F.cross_entropy(logits, y[other])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(train_step, batch())
