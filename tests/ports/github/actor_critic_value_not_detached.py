"""The critic's values are not detached in the policy loss: the critic is trained by both losses, against itself.

Source: astariul/encode-attend-navigate-pytorch pull request #3 (2021), "critic values were not detached when
computing policy loss [...] leading to unstable training".
Symptom: unstable training; the published results cannot be reproduced until the value is detached.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

import smokestep


class Pointer(nn.Module):
    """Visits cities: attends from the last one visited to those not visited yet."""

    def __init__(self, width=16):
        super().__init__()
        self.embed = nn.Linear(2, width)
        self.encoder = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.0, batch_first=True)
        self.query = nn.Linear(width, width)

    def forward(self, cities):
        h = self.encoder(self.embed(cities))
        visited = torch.zeros(cities.shape[:2], dtype=torch.bool)
        rows = torch.arange(len(cities))
        tour, log_probs, last = [], [], h.mean(1)
        for _ in range(cities.shape[1]):
            scores = (h @ self.query(last).unsqueeze(2)).squeeze(2) / h.shape[2] ** 0.5
            distribution = Categorical(logits=scores.masked_fill(visited, -1e9))
            city = distribution.sample()
            log_probs.append(distribution.log_prob(city))
            tour.append(city)
            visited = visited | F.one_hot(city, cities.shape[1]).bool()
            last = h[rows, city]
        return torch.stack(tour, 1), torch.stack(log_probs, 1).sum(1)


class Critic(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.embed, self.head = nn.Linear(2, width), nn.Sequential(nn.ReLU(), nn.Linear(width, 1))

    def forward(self, cities):
        return self.head(self.embed(cities).mean(1)).squeeze(1)


def lengths(cities, tour):
    ordered = cities.gather(1, tour.unsqueeze(2).expand(-1, -1, 2))
    return (ordered - ordered.roll(-1, 1)).norm(dim=2).sum(1)


def training(detached):
    actor, critic = Pointer(), Critic()
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=1e-3)

    def step(cities):
        tour, log_prob = actor(cities)
        length = lengths(cities, tour)
        value = critic(cities)
        advantage = length - (value.detach() if detached else value)
        policy_loss = (advantage * log_prob).mean()  # FAULT
        critic_loss = F.mse_loss(value, length)
        optimizer.zero_grad()
        (policy_loss + critic_loss).backward()
        nn.utils.clip_grad_norm_(actor.parameters(), 1.0)
        optimizer.step()
        return critic_loss

    return smokestep.Training(step, torch.rand(8, 5, 2))


def buggy():
    return training(detached=False)


def fixed():
    return training(detached=True)
