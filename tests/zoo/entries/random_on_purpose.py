"""Random where it is meant: sampled in eval too, seeded by the step, drawn from an own generator, or fixed for good."""

from __future__ import annotations

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def classify(model: nn.Module, lr: float = 1e-3, prepare=lambda x: x) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(prepare(x)), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class SamplingVAE(nn.Module):
    """Samples in eval mode as well: the reconstruction is a draw, not the mean."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 2 * 3), nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x):
        mu, logvar = self.encode(x).chunk(2, dim=-1)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decode(z), mu, logvar


@healthy()
def vae_that_samples_in_eval_as_well() -> smokestep.Training:
    model = SamplingVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        model.train()
        recon, mu, logvar = model(x)
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        loss = F.mse_loss(recon, x, reduction="sum") + kld
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            validation = F.mse_loss(model(x)[0], x).item()
        return loss, validation

    return smokestep.Training(step, torch.randn(10, 8))


class FixedNoise(nn.Module):
    """The noise was drawn once and is a buffer: it is the same in every pass and is saved."""

    def __init__(self):
        super().__init__()
        self.register_buffer("noise", torch.randn(8))
        self.strength = nn.Parameter(torch.full((8,), 0.1))
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.net(x + self.strength * self.noise)


@healthy()
def noise_drawn_once_and_kept_in_a_buffer() -> smokestep.Training:
    return classify(FixedNoise())


class FourierFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("b", torch.randn(8, 12) * 0.5)
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        projected = x @ self.b
        return self.head(torch.cat([projected.sin(), projected.cos()], dim=-1))


@healthy()
def random_features_that_are_never_trained() -> smokestep.Training:
    return classify(FourierFeatures(), lr=1e-2)


@healthy()
def generator_seeded_by_the_number_of_the_step() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    count = 0

    def step(batch):
        nonlocal count
        torch.manual_seed(1000 + count)
        random.seed(1000 + count)
        count += 1
        x, y = batch
        x = x * random.uniform(0.9, 1.1) + 0.1 * torch.randn_like(x)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def noise_from_an_own_generator() -> smokestep.Training:
    source = torch.Generator().manual_seed(7)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    return classify(model, prepare=lambda x: x + 0.1 * torch.randn(x.shape, generator=source))


@healthy()
def rows_chosen_by_a_numpy_generator() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rng = np.random.default_rng(3)

    def step(data):
        x, y = data
        chosen = torch.from_numpy(rng.choice(len(x), size=6, replace=False))
        loss = F.cross_entropy(model(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch(20))


class NoisyLinear(nn.Module):
    """Noise on the weights for exploration; drawn by `reset_noise`, left out in eval."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.mu, self.sigma = (
            nn.Parameter(torch.randn(n_out, n_in) * 0.3),
            nn.Parameter(torch.full((n_out, n_in), 0.05)),
        )
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.register_buffer("epsilon", torch.zeros(n_out, n_in))
        self.reset_noise()

    def reset_noise(self):
        def f(x):
            return x.sign() * x.abs().sqrt()

        n_out, n_in = self.epsilon.shape
        self.epsilon.copy_(torch.outer(f(torch.randn(n_out)), f(torch.randn(n_in))))

    def forward(self, x):
        return F.linear(x, self.mu + self.sigma * self.epsilon if self.training else self.mu, self.bias)


@healthy()
def noisy_layers_redrawn_every_step() -> smokestep.Training:
    hidden, out = NoisyLinear(8, 16), NoisyLinear(16, 3)
    q_net = nn.Sequential(hidden, nn.ReLU(), out)
    optimizer = torch.optim.Adam(q_net.parameters(), lr=1e-3)

    def step(batch):
        states, actions, returns = batch
        hidden.reset_noise()
        out.reset_noise()
        q = q_net(states).gather(1, actions[:, None]).squeeze(1)
        loss = F.smooth_l1_loss(q, returns)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 8), torch.randint(0, 3, (10,)), torch.randn(10)))


class SmoothedClassifier(nn.Module):
    """Randomised smoothing: the average over noisy copies, in both modes."""

    def __init__(self, copies: int = 4, sigma: float = 0.25):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        self.copies, self.sigma = copies, sigma

    def forward(self, x):
        noisy = x.repeat_interleave(self.copies, dim=0)
        noisy = noisy + self.sigma * torch.randn_like(noisy)
        return self.net(noisy).view(len(x), self.copies, -1).mean(1)


@healthy(suspicions={"random-evaluation": "true, and on purpose: the smoothed classifier averages over noise"})
def smoothing_over_noisy_copies_in_both_modes() -> smokestep.Training:
    return classify(SmoothedClassifier())


class WordDropout(nn.Module):
    def __init__(self, p: float = 0.2):
        super().__init__()
        self.embed, self.fc, self.p = nn.Embedding(20, 8), nn.Linear(8, 3), p

    def forward(self, ids):
        if self.training:
            ids = torch.where(torch.rand(ids.shape) < self.p, 0, ids)
        return self.fc(self.embed(ids).mean(1))


@healthy()
def whole_words_dropped_in_training() -> smokestep.Training:
    model = WordDropout()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch):
        ids, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(1, 20, (6, 5)), torch.randint(0, 3, (6,))))


class MultiSampleDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(8, 16), nn.ReLU()), nn.Linear(16, 3)
        self.dropouts = nn.ModuleList([nn.Dropout(p) for p in (0.1, 0.3, 0.5)])

    def forward(self, x):
        h = self.body(x)
        return torch.stack([self.head(dropout(h)) for dropout in self.dropouts]).mean(0)


@healthy()
def several_dropout_masks_averaged() -> smokestep.Training:
    return classify(MultiSampleDropout())


class ShakeShake(torch.autograd.Function):
    """Two branches mixed by one random number in the forward and by another in the backward, on purpose."""

    @staticmethod
    def forward(ctx, a, b, training):
        share = torch.rand(len(a), 1) if training else torch.full((len(a), 1), 0.5)
        return share * a + (1 - share) * b

    @staticmethod
    def backward(ctx, grad):
        share = torch.rand(len(grad), 1)
        return share * grad, (1 - share) * grad, None


class Shaken(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
        self.b = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(x + ShakeShake.apply(self.a(x), self.b(x), self.training))


@healthy()
def branches_shaken_anew_in_the_backward() -> smokestep.Training:
    return classify(Shaken(), lr=1e-2)


class ConcreteGates(nn.Module):
    """Relaxed Bernoulli gates over the inputs while training, hard ones in eval."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.full((8,), 1.0))
        self.net = nn.Linear(8, 3)

    def forward(self, x):
        if self.training:
            gates = torch.distributions.RelaxedBernoulli(torch.tensor(0.5), logits=self.logits).rsample()
        else:
            gates = (self.logits > 0).float()
        return self.net(x * gates)


@healthy()
def relaxed_gates_that_are_hard_in_eval() -> smokestep.Training:
    return classify(ConcreteGates(), lr=1e-2)


@healthy()
def gan_whose_noise_is_drawn_in_the_step_and_shown_on_fixed_noise() -> smokestep.Training:
    generator = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))
    critic = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(16, 1))
    opt_g = torch.optim.Adam(generator.parameters(), lr=2e-4)
    opt_d = torch.optim.Adam(critic.parameters(), lr=2e-4)
    fixed = torch.randn(4, 4)
    bce = nn.BCEWithLogitsLoss()

    def step(real):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        opt_d.zero_grad()
        fake = generator(torch.randn(len(real), 4))
        d_loss = bce(critic(real), 0.9 * ones) + bce(critic(fake.detach()), zeros)
        d_loss.backward()
        opt_d.step()
        opt_g.zero_grad()
        g_loss = bce(critic(fake), ones)
        g_loss.backward()
        opt_g.step()
        with torch.no_grad():
            shown = generator.eval()(fixed)
        generator.train()
        return d_loss, g_loss, shown

    return smokestep.Training(step, torch.randn(8, 8))


@healthy()
def targets_drawn_anew_in_every_step() -> smokestep.Training:
    """Streams of synthetic tasks: no batch is ever seen twice, so none can be learned by heart."""
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        pair = torch.rand(16, 2)
        loss = F.mse_loss(model(pair).squeeze(-1), pair.prod(-1) + 0.05 * torch.randn(16))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)
