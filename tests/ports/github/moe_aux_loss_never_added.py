"""The balancing loss of the experts is computed and stored, and the trainer never adds it to the loss.

Source: jingyaogong/minimind issue #140 (2025), the auxiliary loss of the experts seems not to be used; the author:
"forgotten" in version 1, and retraining too expensive.
Symptom: some experts get most of the tokens; nothing else is to be seen.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class MoEGate(nn.Module):
    def __init__(self, dim, experts, alpha=0.1):
        super().__init__()
        self.weight, self.alpha = nn.Parameter(torch.empty(experts, dim)), alpha
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x):
        scores = F.linear(x, self.weight).softmax(dim=-1)
        weight, index = scores.max(dim=-1)
        used = F.one_hot(index, scores.shape[1]).float().mean(0)
        return weight, index, self.alpha * scores.shape[1] * (used * scores.mean(0)).sum()


class MOEFeedForward(nn.Module):
    def __init__(self, dim=16, experts=3):
        super().__init__()
        self.gate = MoEGate(dim, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim)) for _ in range(experts)
        )
        self.aux_loss = 0

    def forward(self, x):
        flat = x.flatten(0, 1)
        weight, index, self.aux_loss = self.gate(flat)
        y = torch.stack([expert(flat) for expert in self.experts], dim=1)
        y = y[torch.arange(len(flat)), index] * weight.unsqueeze(1)
        return y.view_as(x)


class MiniMind(nn.Module):
    def __init__(self, vocab=20, dim=16):
        super().__init__()
        self.tok, self.lstm = nn.Embedding(vocab, dim), nn.LSTM(dim, dim, batch_first=True)
        self.layers = nn.ModuleList([MOEFeedForward(dim) for _ in range(2)])
        self.norm, self.output = nn.RMSNorm(dim), nn.Linear(dim, vocab, bias=False)

    def forward(self, tokens, targets):
        h, _ = self.lstm(self.tok(tokens))
        for layer in self.layers:
            h = h + layer(h)
        logits = self.output(self.norm(h))
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return SimpleNamespace(logits=logits, loss=loss, aux_loss=sum(layer.aux_loss for layer in self.layers))


def training(added):
    model = MiniMind()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

    def step(batch):
        out = model(batch[:, :-1], batch[:, 1:])
        loss = out.loss  # FAULT
        if added:
            loss = loss + out.aux_loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, torch.randint(0, 20, (5, 11)))


def buggy():
    return training(added=False)


def fixed():
    return training(added=True)
