"""The reconstruction loss is a mean over all points, the KL divergence added to it is a sum over all of them.

Source: soobinseo/Attentive-Neural-Process issue #1 (2019), "Mean or sum reduction": `BCELoss` "does the mean
reduction. However, the KL divergence function [...] seems to be using the sum reduction"; so, too, pytorch/examples
pull request #296 (2018).
Symptom: the KL term outweighs the data, the more the larger the batch; the latent variable says nothing.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class LatentModel(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.latent_encoder = nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mu, self.log_sigma = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.decoder = nn.Sequential(nn.Linear(hidden + 2, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def encode(self, x, y):
        h = self.latent_encoder(torch.cat([x, y], dim=-1)).mean(dim=1)
        return self.mu(h), self.log_sigma(h)

    def forward(self, context_x, context_y, target_x, target_y):
        prior_mu, prior_var = self.encode(context_x, context_y)
        posterior_mu, posterior_var = self.encode(target_x, target_y)
        z = posterior_mu + torch.randn_like(posterior_mu) * (0.5 * posterior_var).exp()
        z = z.unsqueeze(1).expand(-1, target_x.shape[1], -1)
        return self.decoder(torch.cat([z, target_x], dim=-1)), prior_mu, prior_var, posterior_mu, posterior_var


def kl_div(prior_mu, prior_var, posterior_mu, posterior_var):
    kl = (posterior_var.exp() + (posterior_mu - prior_mu) ** 2) / prior_var.exp() - 1.0 + (prior_var - posterior_var)
    return 0.5 * kl.sum()


def training(reduction):
    model = LatentModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    bce = nn.BCEWithLogitsLoss(reduction=reduction)

    def step(batch):
        context_x, context_y, target_x, target_y = batch
        logits, *gaussians = model(context_x, context_y, target_x, target_y)
        loss = bce(logits, target_y) + kl_div(*gaussians)  # FAULT
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    x = torch.rand(8, 30, 2)
    y = (x.sum(-1, keepdim=True) > 1).float()
    return smokestep.Training(step, (x[:, :10], y[:, :10], x, y))


def buggy():
    return training("mean")


def fixed():
    return training("sum")
