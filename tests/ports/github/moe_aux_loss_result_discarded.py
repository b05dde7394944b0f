"""The function that attaches the balancing loss to the routing weights is called, and the tensor it returns is
dropped.

Source: NVIDIA-NeMo/Automodel issue #1408 (2026), "MoE aux_loss gradient never flows - MoEAuxLossAutoScaler return
value discarded": "the autograd node is orphaned".
Symptom: the router is trained without balancing; the auxiliary loss is computed in every step, and dead.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class AuxLossAutoScaler(torch.autograd.Function):
    """The identity on its first argument; in the backward pass it gives the second one, a loss, the gradient 1."""

    @staticmethod
    def forward(ctx, output, aux_loss):
        ctx.save_for_backward(aux_loss)
        return output.clone()

    @staticmethod
    def backward(ctx, grad_output):
        (aux_loss,) = ctx.saved_tensors
        return grad_output, torch.ones_like(aux_loss)


class Gate(nn.Module):
    def __init__(self, dim, experts, coefficient=0.01, topk=2):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(experts, dim) * dim**-0.5)
        self.coefficient, self.topk = coefficient, topk

    def attached(self, weights, aux_loss):
        AuxLossAutoScaler.apply(weights, aux_loss)  # FAULT
        return weights

    def forward(self, x):
        scores = F.linear(x, self.weight).softmax(dim=-1)
        weights, indices = scores.topk(self.topk, dim=-1)
        load = F.one_hot(indices, scores.shape[1]).sum(1).float().mean(0)
        aux_loss = self.coefficient * scores.shape[1] * (load * scores.mean(0)).sum()
        return self.attached(weights, aux_loss), indices


class Attached(Gate):
    def attached(self, weights, aux_loss):
        return AuxLossAutoScaler.apply(weights, aux_loss)


class MoE(nn.Module):
    def __init__(self, gate, vocab=24, dim=16, experts=4):
        super().__init__()
        self.embed, self.mix = nn.Embedding(vocab, dim), nn.GRU(dim, dim, batch_first=True)
        self.gate = gate(dim, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim)) for _ in range(experts)
        )
        self.head = nn.Linear(dim, vocab)

    def forward(self, ids):
        h, _ = self.mix(self.embed(ids))
        x = h.flatten(0, 1)
        weights, indices = self.gate(x)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows, slot = torch.where(indices == i)
            out = out.index_add(0, rows, expert(x[rows]) * weights[rows, slot, None])
        return self.head(h + out.view_as(h))


def training(gate):
    model = MoE(gate)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 24, (6, 13)))


def buggy():
    return training(Gate)


def fixed():
    return training(Attached)
