"""The codebook loss is computed on the straight-through output, in which the codebook entry stands only inside a
`detach`.

Source: showlab/Olaf-World issue #8 (2026), "codebook never receives gradients (codebook loss uses the
straight-through output)"; the same in andylolu2/jax-vqvae-gpt issue #2 (2022).
Symptom: the codebook stays at its initialisation; "the reconstruction loss still goes down, which makes this easy to
miss".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class VectorQuantizer(nn.Module):
    def __init__(self, codes=16, dim=8):
        super().__init__()
        self.codebook = nn.Embedding(codes, dim)
        nn.init.uniform_(self.codebook.weight, -1 / codes, 1 / codes)

    def forward(self, x):
        distance = torch.cdist(x.detach(), self.codebook.weight)
        indices = distance.argmin(dim=-1)
        z = self.codebook(indices)
        return x + (z - x).detach(), z, x, indices


class LatentActionModel(nn.Module):
    def __init__(self, frame=12, dim=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2 * frame, 32), nn.GELU(), nn.Linear(32, dim))
        self.vq = VectorQuantizer(dim=dim)
        self.decoder = nn.Sequential(nn.Linear(frame + dim, 32), nn.GELU(), nn.Linear(32, frame))

    def looked_up(self, z_q, z):
        return z_q  # FAULT

    def forward(self, frames):
        first, second = frames.unbind(1)
        z_q, z, z_e, _ = self.vq(self.encoder(torch.cat([first, second], dim=-1)))
        recon = self.decoder(torch.cat([first, z_q], dim=-1))
        codebook_loss = F.mse_loss(self.looked_up(z_q, z), z_e.detach())
        commitment_loss = F.mse_loss(z_e, z.detach())
        return F.mse_loss(recon, second) + codebook_loss + 0.25 * commitment_loss


class Looked(LatentActionModel):
    def looked_up(self, z_q, z):
        return z


def training(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)

    def step(frames):
        optimizer.zero_grad(set_to_none=True)
        loss = model(frames)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, torch.randn(16, 2, 12))


def buggy():
    return training(LatentActionModel())


def fixed():
    return training(Looked())
