"""Attention that looks wrong and is right: competing queries, weights normalised anew, gates, masks by arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


class Over(nn.Module):
    """Projects a set of vectors, lets a function attend, and reads an answer off the mean."""

    def __init__(self, attend: Callable[..., torch.Tensor], width: int = 12):
        super().__init__()
        self.attend = attend
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.head = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.attend(self.q(x), self.k(x), self.v(x)).mean(1))


def classified(attend: Callable[..., torch.Tensor]) -> smokestep.Training:
    model = Over(attend)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch: Any) -> torch.Tensor:
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 7, 12), torch.randint(0, 4, (6,))))


def scores(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return q @ k.transpose(1, 2) * q.shape[-1] ** -0.5


def window(size: int) -> torch.Tensor:
    return torch.ones(size, size).tril(2).triu(-2)


@healthy()
def slots_compete_and_are_normalised_anew() -> smokestep.Training:
    def attend(q, k, v):
        weights = scores(q, k).softmax(dim=1) + 1e-8
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return torch.einsum("bij,bjd->bid", weights, v)

    return classified(attend)


@healthy()
def slots_divided_by_their_mass_at_the_end() -> smokestep.Training:
    def attend(q, k, v):
        weights = scores(q, k).softmax(dim=1)
        return weights @ v / (weights.sum(dim=2, keepdim=True) + 1e-6)

    return classified(attend)


@healthy()
def efficient_attention_normalises_queries_and_keys() -> smokestep.Training:
    def attend(q, k, v):
        context = k.softmax(dim=1).transpose(1, 2) @ v
        return q.softmax(dim=2) @ context

    return classified(attend)


@healthy()
def attention_written_the_other_way_round() -> smokestep.Training:
    def attend(q, k, v):
        weights = (k @ q.transpose(1, 2) / 12**0.5).softmax(dim=1)
        return weights.transpose(1, 2) @ v

    return classified(attend)


@healthy()
def einsum_sums_over_the_middle() -> smokestep.Training:
    def attend(q, k, v):
        weights = torch.einsum("bqd,bkd->bkq", q, k).softmax(dim=1)
        return torch.einsum("bkq,bkd->bqd", weights, v)

    return classified(attend)


@healthy()
def points_pooled_into_learned_clusters() -> smokestep.Training:
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.assign, self.head = nn.Linear(12, 3), nn.Linear(36, 4)

        def forward(self, x):
            share = self.assign(x).softmax(dim=-1)
            return self.head((share.transpose(1, 2) @ x).flatten(1))

    model = Pool()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(6, 9, 12), torch.randint(0, 4, (6,))))


@healthy()
def matches_normalised_both_ways() -> smokestep.Training:
    def attend(q, k, v):
        similar = scores(q, k)
        return (similar.softmax(1) * similar.softmax(2)) @ v

    return classified(attend)


@healthy()
def coattention_reads_one_affinity_twice() -> smokestep.Training:
    def attend(q, k, v):
        affinity = q @ k.transpose(1, 2)
        there = affinity.softmax(dim=2) @ v
        back = affinity.softmax(dim=1).transpose(1, 2) @ q
        return there + back

    return classified(attend)


@healthy()
def mask_multiplied_and_then_subtracted() -> smokestep.Training:
    def attend(q, k, v):
        near = window(q.shape[1])
        return (scores(q, k) * near - 1e10 * (1 - near)).softmax(dim=-1) @ v

    return classified(attend)


@healthy()
def weights_zeroed_again_behind_a_masked_softmax() -> smokestep.Training:
    def attend(q, k, v):
        near = window(q.shape[1])
        weights = scores(q, k).masked_fill(near == 0, -torch.inf).softmax(dim=-1)
        return weights.masked_fill(near == 0, 0.0) @ v

    return classified(attend)


@healthy()
def masked_weights_are_normalised_anew() -> smokestep.Training:
    def attend(q, k, v):
        weights = scores(q, k).softmax(dim=-1) * window(q.shape[1])
        return F.normalize(weights, p=1.0, dim=-1) @ v

    return classified(attend)


@healthy()
def silent_queries_are_zeroed_after_the_softmax() -> smokestep.Training:
    def attend(q, k, v):
        speaks = (torch.arange(q.shape[1]) % 2 == 0).float().view(1, -1, 1)
        return (scores(q, k).softmax(dim=-1) * speaks) @ v

    return classified(attend)


@healthy()
def scores_multiplied_by_a_distance_decay() -> smokestep.Training:
    def attend(q, k, v):
        at = torch.arange(q.shape[1]).float()
        return (scores(q, k) * (-(at[:, None] - at).abs() / 3).exp()).softmax(dim=-1) @ v

    return classified(attend)


@healthy()
def gates_of_a_mixture_keep_their_largest() -> smokestep.Training:
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Linear(12, 3)
            self.experts = nn.ModuleList(nn.Linear(12, 4) for _ in range(3))

        def forward(self, x):
            share = self.gate(x).softmax(dim=-1)
            kept = (share >= share.topk(2, dim=-1).values[..., -1:]).float()
            answers = torch.stack([expert(x) for expert in self.experts], dim=1)
            return torch.einsum("be,bec->bc", share * kept, answers)

    model = Mixture()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(32, 12), torch.randint(0, 4, (32,))))
