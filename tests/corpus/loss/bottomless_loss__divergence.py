"""A variational autoencoder of images adds the divergence with the sign of the bound that is to be maximised."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(64, 32), nn.Linear(32, 5), nn.Linear(32, 5)
        self.fc3, self.fc4 = nn.Linear(5, 32), nn.Linear(32, 64)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x):
        h = F.relu(self.fc1(x.view(-1, 64)))
        mu, logvar = self.fc21(h), self.fc22(h)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(self.reparameterize(mu, logvar))))), mu, logvar


def training(sign):
    def loss_function(recon_x, x, mu, logvar):
        bce = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
        kld = sign * 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())  # BUG?: bottomless-loss
        return bce + kld

    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        optimizer.zero_grad()
        loss = loss_function(*(out := model(data))[:1], data, *out[1:])
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, torch.rand(12, 1, 8, 8))


def buggy():
    return training(sign=1)


def fixed():
    return training(sign=-1)
