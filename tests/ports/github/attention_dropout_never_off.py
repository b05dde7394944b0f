"""`F.dropout` on the attention scores without `training=self.training` drops in evaluation, too.

Source: rixwew/pytorch-fm issue #21 (2020): "model.eval()" must switch it off; fixed. The same in facebookresearch/DME
issue #3 (2018), "Dropout is still enabled during inference".
Symptom: predictions for the same input differ from call to call.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class AttentionalFactorizationMachine(nn.Module):
    def __init__(self, field_dims=(10, 6, 8), embed_dim=8, attn_size=8, dropouts=(0.2, 0.2)):
        super().__init__()
        self.register_buffer("offsets", torch.tensor((0, *field_dims[:-1])).cumsum(0))
        self.linear, self.bias = nn.Embedding(sum(field_dims), 1), nn.Parameter(torch.zeros(1))
        self.embedding = nn.Embedding(sum(field_dims), embed_dim)
        self.attention, self.projection = nn.Linear(embed_dim, attn_size), nn.Linear(attn_size, 1)
        self.fc, self.dropouts = nn.Linear(embed_dim, 1), dropouts

    def dropped(self, x, p):
        return F.dropout(x, p=p)  # FAULT

    def forward(self, x):
        x = x + self.offsets
        e = self.embedding(x)
        row, col = torch.triu_indices(x.shape[1], x.shape[1], offset=1)
        inner = e[:, row] * e[:, col]
        scores = F.softmax(self.projection(F.relu(self.attention(inner))), dim=1)
        scores = self.dropped(scores, self.dropouts[0])
        output = self.dropped((scores * inner).sum(1), self.dropouts[1])
        return torch.sigmoid(self.linear(x).sum(1) + self.bias + self.fc(output)).squeeze(1)


class Switched(AttentionalFactorizationMachine):
    def dropped(self, x, p):
        return F.dropout(x, p=p, training=self.training)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-6)
    criterion = nn.BCELoss()

    def step(batch):
        fields, target = batch
        loss = criterion(model(fields), target)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    fields = torch.stack([torch.randint(0, n, (24,)) for n in (10, 6, 8)], dim=1)
    return smokestep.Training(step, (fields, (fields.sum(1) % 2).float()))


def buggy():
    return training(AttentionalFactorizationMachine())


def fixed():
    return training(Switched())
