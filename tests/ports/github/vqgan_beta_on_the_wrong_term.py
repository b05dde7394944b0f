"""The commitment weight β stands at the codebook term; the commitment of the encoder has weight one.

Source: CompVis/taming-transformers issue #57 (2021), "a bug about the commitment loss"; the same in
bytedance/1d-tokenizer pull request #120 (2026), karpathy/deep-vector-quantization issue #2 (2021) and
sczhou/CodeFormer issue #427 (2025).
Symptom: none; the codebook moves four times slower than meant, and retrained models are about as good.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class VectorQuantizer(nn.Module):
    def __init__(self, n_e=12, e_dim=8, beta=0.25):
        super().__init__()
        self.beta = beta
        self.embedding = nn.Embedding(n_e, e_dim)
        self.embedding.weight.data.uniform_(-1.0 / n_e, 1.0 / n_e)

    def loss(self, z_q, z):
        return torch.mean((z_q.detach() - z) ** 2) + self.beta * torch.mean((z_q - z.detach()) ** 2)  # FAULT

    def forward(self, z):
        z = z.permute(0, 2, 3, 1).contiguous()
        flat = z.view(-1, z.shape[-1])
        d = (
            flat.pow(2).sum(1, keepdim=True)
            + self.embedding.weight.pow(2).sum(1)
            - 2 * flat @ self.embedding.weight.t()
        )
        z_q = self.embedding(d.argmin(dim=1)).view(z.shape)
        loss = self.loss(z_q, z)
        z_q = z + (z_q - z).detach()
        return z_q.permute(0, 3, 1, 2).contiguous(), loss


class BetaOnCommitment(VectorQuantizer):
    def loss(self, z_q, z):
        return self.beta * torch.mean((z_q.detach() - z) ** 2) + torch.mean((z_q - z.detach()) ** 2)


class VQModel(nn.Module):
    def __init__(self, quantize):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 16, 4, 2, 1), nn.SiLU(), nn.Conv2d(16, 8, 3, padding=1))
        self.quantize = quantize()
        self.decoder = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.SiLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1))

    def forward(self, x):
        quantized, loss = self.quantize(self.encoder(x))
        return self.decoder(quantized), loss


def training(quantize):
    model = VQModel(quantize)
    optimizer = torch.optim.Adam(model.parameters(), lr=4.5e-4, betas=(0.5, 0.9))

    def step(images):
        reconstructed, codebook_loss = model(images)
        loss = F.l1_loss(reconstructed, images) + codebook_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.rand(8, 1, 8, 8) * 2 - 1)


def buggy():
    return training(VectorQuantizer)


def fixed():
    return training(BetaOnCommitment)
