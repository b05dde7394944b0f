"""A `collate_fn` masks tokens with the generator of its module, which every forked worker inherits as it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

MASKS = torch.Generator().manual_seed(0)  # BUG?: repeated-augmentation


def masked_by_own(samples):
    tokens = torch.stack(samples)
    return tokens.masked_fill(torch.rand(tokens.shape, generator=MASKS) < 0.3, 0), tokens


def masked(samples):
    tokens = torch.stack(samples)
    return tokens.masked_fill(torch.rand(tokens.shape) < 0.3, 0), tokens


def training(collate):
    model = nn.Sequential(nn.Embedding(12, 8), nn.Linear(8, 12))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    data = list(torch.randint(1, 12, (40, 6)))
    loader = torch.utils.data.DataLoader(data, 8, num_workers=2, collate_fn=collate)

    def step(batch):
        inputs, tokens = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs).flatten(0, 1), tokens.flatten())
        loss.backward()
        optimizer.step()
        return loss

    step.loader = loader
    return smokestep.Training(step, masked(data[:8]))


def buggy():
    return training(masked_by_own)


def fixed():
    return training(masked)
