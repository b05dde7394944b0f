"""The training data lies sorted by class and is never shuffled, so a batch holds one class only.

Source: class of wrong shuffling of training data of Humbatova et al., Taxonomy of real faults in deep learning
systems, ICSE 2020.
Symptom: in each part of the epoch the network predicts the class it has just seen; the validation accuracy is low.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_iris
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import smokestep


def training(shuffle):
    iris = load_iris()  # fifty of each species, one species after the other
    x = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0), dtype=torch.float32)
    loader = DataLoader(TensorDataset(x, torch.tensor(iris.target)), batch_size=10, shuffle=shuffle)  # FAULT
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = iter(loader)

    def step():
        features, species = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(features), species)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step)


def buggy():
    return training(shuffle=False)


def fixed():
    return training(shuffle=True)
