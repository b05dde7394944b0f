"""A reconstruction loss is computed in the step and never added: its decoder trains on nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class SemiSupervised:
    def __init__(self, weight):
        self.encoder = nn.Sequential(nn.Linear(8, 12), nn.Tanh())
        self.decoder = nn.Linear(12, 8)
        self.classifier = nn.Linear(12, 2)
        self.weight = weight
        parameters = [p for m in (self.encoder, self.decoder, self.classifier) for p in m.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def fit_batch(self, batch):
        x, y = batch
        code = self.encoder(x)
        reconstruction = F.mse_loss(self.decoder(code), x)  # BUG: dead-branch decoder.weight, decoder.bias
        loss = F.cross_entropy(self.classifier(code), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Summed(SemiSupervised):
    def fit_batch(self, batch):
        x, y = batch
        code = self.encoder(x)
        reconstruction = F.mse_loss(self.decoder(code), x)
        loss = F.cross_entropy(self.classifier(code), y) + self.weight * reconstruction
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def training(trainer):
    models = {"encoder": trainer.encoder, "decoder": trainer.decoder, "classifier": trainer.classifier}
    return smokestep.Training(trainer.fit_batch, (torch.randn(8, 8), torch.randint(0, 2, (8,))), model=models)


def buggy():
    return training(SemiSupervised(0.1))


def fixed():
    return training(Summed(0.1))
