"""The KL term is summed over the whole batch before the sequence mask is applied: each event carries the sum of all.

Source: EDAPINENUT/GNTPP issue #4 (2023): `torch.sum` without `dim` "yielding a scalar! No exception is raised,
because multiplying this scalar to the onehot mask is still valid"; fixed, results updated.
Symptom: the KL term is as many times too large as there are events, padding counts in it, and the latent collapses.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class EventVAE(nn.Module):
    def __init__(self, features=6, hidden=16, latent=4):
        super().__init__()
        self.history = nn.GRU(features, hidden, batch_first=True)
        self.mean, self.log_var = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(nn.Linear(latent + hidden, 32), nn.ReLU(), nn.Linear(32, features))

    def kl(self, mean, log_var):
        return -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())  # FAULT

    def forward(self, events):
        context, _ = self.history(events)
        mean, log_var = self.mean(context), self.log_var(context)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        previous = F.pad(context, (0, 0, 1, 0))[:, :-1]
        return self.decoder(torch.cat([z, previous], dim=-1)), mean, log_var

    def loss(self, events, seq_onehots):
        reconstructed, mean, log_var = self(events)
        recon_loss = F.mse_loss(reconstructed, events, reduction="none").sum(-1) * seq_onehots
        kl_loss = self.kl(mean, log_var) * seq_onehots
        return (recon_loss + kl_loss).sum() / seq_onehots.sum()


class PerEvent(EventVAE):
    def kl(self, mean, log_var):
        return -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp(), dim=-1)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        events, seq_onehots = batch
        loss = model.loss(events, seq_onehots)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    mask = (torch.arange(9)[None] < torch.tensor([9, 4, 6, 7, 3, 8])[:, None]).float()
    return smokestep.Training(step, (torch.randn(6, 9, 6) * mask.unsqueeze(-1), mask))


def buggy():
    return training(EventVAE())


def fixed():
    return training(PerEvent())
