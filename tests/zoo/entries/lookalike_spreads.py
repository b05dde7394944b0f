"""Logarithms of scales in right losses: divergences, likelihoods, learned weights, flows, estimators of divergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal, kl_divergence

import smokestep

from ..registry import healthy


class Coder(nn.Module):
    """A variational autoencoder whose second output means what the two functions make of it."""

    def __init__(self, sample: Callable[..., torch.Tensor]):
        super().__init__()
        self.sample = sample
        self.encode = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 6))
        self.decode = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 12))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mean, raw = self.encode(x).chunk(2, dim=1)
        return self.decode(self.sample(mean, raw)), mean, raw


def coded(sample: Callable[..., torch.Tensor], divergence: Callable[..., torch.Tensor]) -> smokestep.Training:
    model = Coder(sample)
    optimizer = torch.optim.Adam(model.parameters())

    def step(x: torch.Tensor) -> torch.Tensor:
        decoded, mean, raw = model(x)
        loss = F.mse_loss(decoded, x, reduction="none").sum(1).mean() + divergence(mean, raw).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(10, 12))


@healthy()
def divergence_of_a_log_scale() -> smokestep.Training:
    return coded(
        lambda mean, log_scale: mean + log_scale.exp() * torch.randn_like(mean),
        lambda mean, log_scale: 0.5 * ((2 * log_scale).exp() + mean**2 - 1 - 2 * log_scale).sum(1),
    )


@healthy()
def divergence_of_a_scale_by_softplus() -> smokestep.Training:
    def divergence(mean, raw):
        scale = F.softplus(raw)
        return 0.5 * (scale**2 + mean**2 - 1).sum(1) - scale.log().sum(1)

    return coded(lambda mean, raw: mean + F.softplus(raw) * torch.randn_like(mean), divergence)


@healthy()
def divergence_of_a_variance_by_softplus() -> smokestep.Training:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(12, 6), nn.Linear(3, 12)

        def forward(self, x):
            mean, raw = self.encode(x).chunk(2, 1)
            variance = F.softplus(raw) + 1e-6
            return self.decode(mean + variance.sqrt() * torch.randn_like(mean)), mean, variance

    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        decoded, mean, variance = model(x)
        divergence = 0.5 * (variance + mean.square() - 1 - variance.log()).sum(1).mean()
        loss = (decoded - x).square().sum(1).mean() + 0.1 * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(10, 12))


@healthy()
def divergence_by_the_distributions() -> smokestep.Training:
    return coded(
        lambda mean, raw: Normal(mean, torch.exp(0.5 * raw)).rsample(),
        lambda mean, raw: kl_divergence(Normal(mean, torch.exp(0.5 * raw)), Normal(0.0, 1.0)).sum(1),
    )


@healthy()
def divergence_of_samples() -> smokestep.Training:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(12, 6), nn.Linear(3, 12)

        def forward(self, x):
            mean, log_scale = self.encode(x).chunk(2, 1)
            noise = torch.randn_like(mean)
            code = mean + noise * log_scale.exp()
            log_ratio = (-0.5 * noise**2 - log_scale + 0.5 * code**2).sum(1)
            return self.decode(code), log_ratio

    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        decoded, log_ratio = model(x)
        loss = (decoded - x).square().sum(1).mean() + log_ratio.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(10, 12))


@healthy()
def losses_weighted_by_learned_uncertainty() -> smokestep.Training:
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.price, self.kind = nn.Linear(5, 16), nn.Linear(16, 1), nn.Linear(16, 3)
            self.log_vars = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            hidden = torch.relu(self.body(x))
            return self.price(hidden).squeeze(1), self.kind(hidden)

    model = Weighted()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, price, kind = batch
        guess, logits = model(x)
        first = torch.exp(-model.log_vars[0]) * F.mse_loss(guess, price) + model.log_vars[0]
        second = torch.exp(-model.log_vars[1]) * F.cross_entropy(logits, kind) + model.log_vars[1]
        loss = first + second
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 5), torch.randn(8), torch.randint(0, 3, (8,))))


def regressed(likelihood: Callable[..., torch.Tensor]) -> smokestep.Training:
    model = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 2))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch: Any) -> None:
        x, y = batch
        loss = likelihood(y, *model(x).unbind(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(12, 4), torch.rand(12) + 0.1))


@healthy()
def likelihood_of_a_log_variance() -> smokestep.Training:
    return regressed(lambda y, mean, log_var: 0.5 * (log_var + (y - mean) ** 2 / log_var.exp()))


@healthy()
def likelihood_with_a_precision() -> smokestep.Training:
    return regressed(lambda y, mean, log_p: 0.5 * (log_p.exp() * (y - mean).square() - log_p))


@healthy()
def likelihood_of_laplace() -> smokestep.Training:
    return regressed(lambda y, mean, log_b: (y - mean).abs() * torch.exp(-log_b) + log_b)


@healthy()
def likelihood_of_gumbel() -> smokestep.Training:
    def likelihood(y, mean, log_b):
        z = (y - mean) * (-log_b).exp()
        return z + torch.exp(-z) + log_b

    return regressed(likelihood)


@healthy()
def likelihood_of_counts_and_of_waiting() -> smokestep.Training:
    def likelihood(y, log_rate, log_wait):
        return log_rate.exp() - y.round() * log_rate + log_wait.exp() * y - log_wait

    return regressed(likelihood)


@healthy()
def flow_of_one_coupling() -> smokestep.Training:
    class Coupling(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 4))

        def forward(self, x):
            kept, moved = x.chunk(2, 1)
            log_scale, shift = self.net(kept).chunk(2, 1)
            return torch.cat([kept, moved * log_scale.exp() + shift], 1), log_scale.sum(1)

    model = Coupling()
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        z, log_det = model(x)
        loss = (0.5 * z.square().sum(1) - log_det).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(16, 4))


@healthy()
def policy_held_near_a_reference() -> smokestep.Training:
    policy = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(policy.parameters())

    def step(batch):
        obs, action, advantage, before, reference = batch
        log_prob = policy(obs).log_softmax(-1).gather(1, action).squeeze(1)
        ratio = (log_prob - before).exp()
        further = reference - log_prob
        held = further.exp() - further - 1
        loss = (-torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage) + 0.04 * held).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    action = torch.randint(0, 3, (16, 1))
    return smokestep.Training(step, (torch.randn(16, 4), action, torch.randn(16), -torch.rand(16), -torch.rand(16)))
