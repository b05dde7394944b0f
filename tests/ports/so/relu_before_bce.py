"""The last layer of a binary classifier goes through a ReLU, so that no probability below one half can be said.

Source: Stack Overflow 51185079, filed by deepmufl (Ghanbari et al., ASE 2023) under classification, final layer
relu.
Symptom: the accuracy stays at about 0.5.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self, rectify):
        super().__init__()
        self.fc1 = nn.Linear(2, 16)
        self.fc2 = nn.Linear(16, 16)
        self.fc3 = nn.Linear(16, 1)
        self.rectify = rectify

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        if self.rectify:
            x = F.relu(x)  # FAULT
        return x.squeeze(-1)


def training(rectify):
    points, labels = make_moons(128, noise=0.1, random_state=0)
    x, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels, dtype=torch.float32)
    model = Classifier(rectify)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(batch):
        x, y = batch
        logits = model(x)
        loss = F.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(rectify=True)


def fixed():
    return training(rectify=False)
