"""An encoder given `ids != pad` where PyTorch wants True for what is padding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

PAD = 0


class Encoder(nn.Module):
    def __init__(self, turned):
        super().__init__()
        self.turned = turned
        self.tokens = nn.Embedding(30, 16, padding_idx=PAD)
        self.places = nn.Parameter(0.1 * torch.randn(1, 32, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.classify = nn.Linear(16, 3)

    def forward(self, ids):
        real = ids != PAD
        x = self.tokens(ids) + self.places[:, : ids.shape[1]]
        x = self.layers(x, src_key_padding_mask=real if self.turned else ~real)  # BUG: inverted-mask
        x = x.masked_fill(~real.unsqueeze(-1), 0)
        return self.classify(x.sum(1) / real.sum(1, keepdim=True))


def training(turned):
    model = Encoder(turned)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        ids, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    lengths = torch.tensor([9, 4, 6, 5, 7])
    ids = torch.randint(1, 30, (5, 10)) * (torch.arange(10) < lengths[:, None])
    return smokestep.Training(step, (ids, torch.tensor([0, 2, 1, 1, 0])))


def buggy():
    return training(True)


def fixed():
    return training(False)
