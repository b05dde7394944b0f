"""A layer that merges the outputs of others keeps them in a Python list: their parameters belong to no module.

Source: asyml/texar-pytorch issue #72 (2019), "Missing trainable variables from MergeLayer", labelled bug;
pytorch/pytorch issue #59925 (2021), "Implicit module registration permits silent programming errors".
Symptom: the merged layers keep their random weights; the rest trains around them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class MergeLayer(nn.Module):
    def __init__(self, layers, dim=-1):
        super().__init__()
        self._layers = self.container(layers)
        self._dim = dim

    @staticmethod
    def container(layers):
        return list(layers)  # FAULT

    def forward(self, inputs):
        return torch.cat([layer(inputs) for layer in self._layers], dim=self._dim)


class Registering(MergeLayer):
    @staticmethod
    def container(layers):
        return nn.ModuleList(layers)


class Conv1DClassifier(nn.Module):
    def __init__(self, merge, words=40, width=12, filters=8, classes=3):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.encoder = merge(
            [
                nn.Sequential(nn.Conv1d(width, filters, size), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten())
                for size in (2, 3, 4)
            ]
        )
        self.dropout, self.logits = nn.Dropout(0.2), nn.Linear(3 * filters, classes)

    def forward(self, ids):
        return self.logits(self.dropout(self.encoder(self.embed(ids).transpose(1, 2))))


def training(merge):
    model = Conv1DClassifier(merge)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        ids, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    ids = torch.randint(0, 40, (16, 9))
    return smokestep.Training(step, (ids, ids.sum(1) % 3))


def buggy():
    return training(MergeLayer)


def fixed():
    return training(Registering)
