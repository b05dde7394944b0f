"""A classifier is trained with the squared error between its one output and the number of the class.

Source: class of wrong selection of loss function of Humbatova et al., ICSE 2020; improper loss function, one of the
five kinds of fault of DeepFD (Cao et al., ICSE 2022).
Symptom: the loss falls, and the classes in the middle of the numbering are predicted too often.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from torch import nn

import smokestep


def data():
    wine = load_wine()
    x = torch.tensor((wine.data - wine.data.mean(0)) / wine.data.std(0), dtype=torch.float32)
    return x, torch.tensor(wine.target)


def fit(model, loss_of):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(batch):
        features, cultivar = batch
        optimizer.zero_grad()
        loss = loss_of(model(features), cultivar)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, data())


def network(outputs):
    return nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, outputs))


def buggy():
    squared = nn.MSELoss()
    return fit(network(1), lambda out, y: squared(out.squeeze(1), y.float()))  # FAULT


def fixed():
    return fit(network(3), nn.CrossEntropyLoss())
