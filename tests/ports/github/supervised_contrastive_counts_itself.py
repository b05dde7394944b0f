"""The mask of positive pairs has ones on its diagonal: every sample is drawn towards itself as well.

Source: alinlab/CSI issue #49 (2022), "Some questions about Supervised_NT_xent": "Mask[i, i] is not zero. Therefore,
the pair (i, i) will also be regarded as positive".
Symptom: a term that is about zero, or a constant, for each sample; the loss value is wrong, training goes on.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Supervised_NT_xent(nn.Module):
    def __init__(self, temperature=0.5, eps=1e-8):
        super().__init__()
        self.temperature, self.eps = temperature, eps

    def positives(self, labels, eye):
        return torch.eq(labels, labels.t()).float()  # FAULT

    def forward(self, outputs, labels):
        sim_matrix = outputs @ outputs.t() / self.temperature
        sim_matrix = sim_matrix - sim_matrix.max(dim=1, keepdim=True).values.detach()
        eye = torch.eye(len(outputs))
        exp = torch.exp(sim_matrix) * (1 - eye)
        log_prob = -torch.log(torch.exp(sim_matrix) / (exp.sum(dim=1, keepdim=True) + self.eps) + self.eps)
        labels = labels.contiguous().view(-1, 1)
        Mask = self.positives(labels, eye)
        Mask = Mask / (Mask.sum(dim=1, keepdim=True) + self.eps)
        return torch.sum(Mask * log_prob) / len(outputs)


class Others(Supervised_NT_xent):
    def positives(self, labels, eye):
        return torch.eq(labels, labels.t()).float() * (1 - eye)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, x):
        return F.normalize(self.head(self.body(x)), dim=1)


def training(criterion):
    model = Encoder()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-6)

    def step(batch):
        x, labels = batch
        views = torch.cat([x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)])
        loss = criterion(model(views), labels.repeat(2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (torch.randn(12, 20), torch.arange(12) % 4))


def buggy():
    return training(Supervised_NT_xent())


def fixed():
    return training(Others())
