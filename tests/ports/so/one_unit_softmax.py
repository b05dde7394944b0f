"""A binary classifier ends in a softmax over its one output unit, which is 1 whatever the input.

Source: Wardat et al., DeepLocalize, ICSE 2021: 5 of its 30 bugs are of this kind.
Symptom: every prediction is 1; the accuracy is the share of the positive class and never changes.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import smokestep


def training(last):
    data = load_breast_cancer()
    x = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
    y = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1)
    batches = iter(DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True))

    model = nn.Sequential(
        nn.Linear(30, 16),
        nn.ReLU(),
        nn.Linear(16, 8),
        nn.ReLU(),
        nn.Linear(8, 1),
        last,
    )
    loss_fn = nn.BCELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def train_step():
        inputs, targets = next(batches)
        probabilities = model(inputs)  # FAULT
        loss = loss_fn(probabilities, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(train_step)


def buggy():
    return training(nn.Softmax(dim=1))  # FAULT


def fixed():
    return training(nn.Sigmoid())
