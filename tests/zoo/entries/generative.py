"""Generative models trained by likelihood, by a bound on it, by denoising or by energies."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


class VAE(nn.Module):
    def __init__(self, n_in: int = 12, latent: int = 3):
        super().__init__()
        self.encoder = nn.Linear(n_in, 24)
        self.mu = nn.Linear(24, latent)
        self.logvar = nn.Linear(24, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 24), nn.ReLU(), nn.Linear(24, n_in))

    def encode(self, x):
        h = F.relu(self.encoder(x))
        return self.mu(h), self.logvar(h)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + std * torch.randn_like(std)

    def forward(self, x):
        mu, logvar = self.encode(x.view(x.size(0), -1))
        return torch.sigmoid(self.decoder(self.reparameterize(mu, logvar))), mu, logvar


@healthy()
def vae_with_kl_warm_up() -> smokestep.Training:
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    state = {"iteration": 0}

    def step(x):
        beta = min(1.0, state["iteration"] / 10)  # 0 at the very first step
        optimizer.zero_grad()
        recon, mu, logvar = model(x)
        bce = F.binary_cross_entropy(recon, x.flatten(1), reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        loss = (bce + beta * kld) / len(x)
        loss.backward()
        optimizer.step()
        state["iteration"] += 1
        return loss

    return smokestep.Training(step, torch.rand(8, 3, 4))


@healthy()
def beta_vae_with_distributions() -> smokestep.Training:
    from torch.distributions import Normal, kl_divergence

    encoder = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4))
    decoder = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 6))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)

    def step(x):
        mean, log_std = encoder(x).chunk(2, dim=-1)
        posterior = Normal(mean, log_std.exp())
        z = posterior.rsample()
        likelihood = Normal(decoder(z), 1.0).log_prob(x).sum(-1)
        kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(-1)
        loss = -(likelihood - 4.0 * kl).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 6))


class VectorQuantizer(nn.Module):
    def __init__(self, codes: int = 8, dim: int = 4, commitment: float = 0.25):
        super().__init__()
        self.codebook = nn.Embedding(codes, dim)
        self.codebook.weight.data.uniform_(-1.0, 1.0)
        self.commitment = commitment

    def forward(self, z):
        distances = torch.cdist(z, self.codebook.weight)
        indices = distances.argmin(dim=1)
        quantized = self.codebook(indices)
        loss = F.mse_loss(quantized, z.detach()) + self.commitment * F.mse_loss(z, quantized.detach())
        quantized = z + (quantized - z).detach()  # straight-through
        return quantized, loss, indices


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4))
        self.quantizer = VectorQuantizer()
        self.decoder = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, x):
        z, vq_loss, indices = self.quantizer(self.encoder(x))
        return self.decoder(z), vq_loss, indices


@healthy()
def vq_vae_straight_through() -> smokestep.Training:
    model = VQVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        optimizer.zero_grad()
        recon, vq_loss, indices = model(x)
        loss = F.mse_loss(recon, x) + vq_loss
        loss.backward()
        optimizer.step()
        used = indices.unique().numel()
        return {"loss": loss.item(), "codes": used}

    return smokestep.Training(step, torch.randn(16, 10))


class EMAQuantizer(nn.Module):
    """The codebook is a buffer that follows its assignments; no gradient is meant to reach it."""

    def __init__(self, codes: int = 6, dim: int = 4):
        super().__init__()
        self.register_buffer("codebook", torch.randn(codes, dim))
        self.register_buffer("counts", torch.ones(codes))

    def forward(self, z):
        indices = torch.cdist(z, self.codebook).argmin(1)
        if self.training:
            with torch.no_grad():
                one_hot = F.one_hot(indices, len(self.codebook)).type_as(z)
                self.counts.mul_(0.9).add_(one_hot.sum(0), alpha=0.1)
                means = one_hot.t() @ z / one_hot.sum(0).clamp(min=1).unsqueeze(1)
                used = (one_hot.sum(0) > 0).unsqueeze(1)
                self.codebook.copy_(torch.where(used, 0.9 * self.codebook + 0.1 * means, self.codebook))
        quantized = self.codebook[indices]
        commitment = F.mse_loss(z, quantized.detach())
        return z + (quantized - z).detach(), commitment


@healthy()
def vq_vae_with_moving_average_codebook() -> smokestep.Training:
    encoder, quantizer, decoder = nn.Linear(10, 4), EMAQuantizer(), nn.Linear(4, 10)
    model = nn.ModuleDict({"encoder": encoder, "quantizer": quantizer, "decoder": decoder})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        quantized, commitment = model["quantizer"](model["encoder"](x))
        loss = F.mse_loss(model["decoder"](quantized), x) + 0.25 * commitment
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 10))


@healthy()
def gumbel_softmax_discrete_autoencoder() -> smokestep.Training:
    encoder, decoder = nn.Linear(8, 3 * 5), nn.Linear(15, 8)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)

    def step(x):
        logits = encoder(x).view(-1, 3, 5)
        z = F.gumbel_softmax(logits, tau=0.7, hard=True)
        q = logits.softmax(-1)
        kl = (q * (q.clamp(min=1e-8) * 5).log()).sum((-1, -2)).mean()
        loss = F.mse_loss(decoder(z.flatten(1)), x) + 0.1 * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 8))


def timestep_embedding(t, dim):
    half = dim // 2
    freqs = torch.exp(-math.log(10000) * torch.arange(half) / half)
    args = t[:, None].float() * freqs[None]
    return torch.cat([args.cos(), args.sin()], dim=-1)


class Denoiser(nn.Module):
    def __init__(self, channels: int = 1, dim: int = 16):
        super().__init__()
        self.dim = dim
        self.time = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.inp = nn.Conv2d(channels, dim, 3, padding=1)
        self.norm = nn.GroupNorm(4, dim)
        self.mid = nn.Conv2d(dim, dim, 3, padding=1)
        self.out = nn.Conv2d(dim, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)  # zero-initialised output: nothing before it moves at step 1
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        h = self.inp(x)
        h = h + self.time(timestep_embedding(t, self.dim))[:, :, None, None]
        h = h + self.mid(F.silu(self.norm(h)))
        return self.out(F.silu(h))


@healthy()
def diffusion_with_zero_initialised_output() -> smokestep.Training:
    model = Denoiser()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    alphas_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 100), dim=0)

    def step(x0):
        t = torch.randint(0, 100, (len(x0),))
        noise = torch.randn_like(x0)
        a = alphas_bar[t].view(-1, 1, 1, 1)
        xt = a.sqrt() * x0 + (1 - a).sqrt() * noise
        loss = F.mse_loss(model(xt, t), noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(4, 1, 6, 6))


@healthy()
def flow_matching() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(x1):
        x0 = torch.randn_like(x1)
        t = torch.rand(len(x1), 1)
        xt = (1 - t) * x0 + t * x1
        loss = (net(torch.cat([xt, t], dim=1)) - (x1 - x0)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(32, 2) + 2)


class AffineCoupling(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 8))

    def forward(self, x):
        s, t = self.net(x * self.mask).chunk(2, dim=1)
        s = torch.tanh(s) * (1 - self.mask)
        t = t * (1 - self.mask)
        return x * torch.exp(s) + t, s.sum(1)


class RealNVP(nn.Module):
    def __init__(self):
        super().__init__()
        mask = torch.tensor([1.0, 0.0, 1.0, 0.0])
        self.layers = nn.ModuleList([AffineCoupling(mask if i % 2 == 0 else 1 - mask) for i in range(4)])
        self.register_buffer("zero", torch.zeros(()))

    def log_prob(self, x):
        log_det = self.zero
        for layer in self.layers:
            x, ld = layer(x)
            log_det = log_det + ld
        return log_det - 0.5 * (x**2 + math.log(2 * math.pi)).sum(1)


@healthy()
def normalizing_flow() -> smokestep.Training:
    flow = RealNVP()
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)

    def step(x):
        optimizer.zero_grad()
        nll = -flow.log_prob(x).mean()
        nll.backward()
        optimizer.step()
        return nll

    return smokestep.Training(step, torch.randn(16, 4) * 2 + 1)


@healthy()
def energy_model_with_langevin_samples() -> smokestep.Training:
    energy = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(energy.parameters(), lr=1e-3)

    def sample(n, steps=5, size=0.1):
        energy.requires_grad_(False)
        x = torch.rand(n, 2).mul_(2).sub_(1).requires_grad_(True)
        for _ in range(steps):
            (grad,) = torch.autograd.grad(energy(x).sum(), x)
            x = (x - size * grad + 0.01 * torch.randn_like(x)).detach().requires_grad_(True)
        energy.requires_grad_(True)
        return x.detach()

    def step(real):
        fake = sample(len(real))
        e_real, e_fake = energy(real), energy(fake)
        loss = e_real.mean() - e_fake.mean() + 0.1 * (e_real.pow(2) + e_fake.pow(2)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 2))


@healthy()
def denoising_score_matching() -> smokestep.Training:
    score = nn.Sequential(nn.Linear(2, 32), nn.Softplus(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(score.parameters(), lr=1e-3)

    def step(x):
        sigma = 0.3
        noise = torch.randn_like(x) * sigma
        loss = 0.5 * ((score(x + noise) + noise / sigma**2) ** 2).sum(-1).mean() * sigma**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 2))


@healthy()
def denoising_autoencoder_convolutional() -> smokestep.Training:
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(images):
        noisy = (images + 0.3 * torch.randn_like(images)).clamp(0, 1)
        loss = F.binary_cross_entropy(model(noisy), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.rand(4, 1, 8, 8))
