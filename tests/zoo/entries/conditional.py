"""Conditional computation: parts that run for some batches, some samples or some steps only."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def labelled(n: int = 10, features: int = 8, classes: int = 3):
    return torch.randn(n, features), torch.randint(0, classes, (n,))


class MixtureOfExperts(nn.Module):
    """Top-1 routing; the load loss keeps the router honest, and an expert may get no token of a batch."""

    def __init__(self, dim: int = 8, experts: int = 6):
        super().__init__()
        self.router = nn.Linear(dim, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 16), nn.ReLU(), nn.Linear(16, dim)) for _ in range(experts)
        )

    def forward(self, x):
        probabilities = self.router(x).softmax(-1)
        weight, chosen = probabilities.max(-1)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = (chosen == i).nonzero(as_tuple=True)[0]
            if rows.numel() == 0:
                continue
            out = out.index_add(0, rows, weight[rows, None] * expert(x[rows]))
        load = F.one_hot(chosen, len(self.experts)).float().mean(0)
        balance = len(self.experts) * (load * probabilities.mean(0)).sum()
        return x + out, balance


@healthy()
def mixture_of_experts_with_a_cold_expert() -> smokestep.Training:
    moe, head = MixtureOfExperts(), nn.Linear(8, 3)
    model = nn.ModuleDict({"moe": moe, "head": head})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        h, balance = model["moe"](x)
        loss = F.cross_entropy(model["head"](h), y) + 0.01 * balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled(4))  # six experts, four tokens: at least two stay cold


class TopTwoExperts(nn.Module):
    """Dense dispatch: an expert that gets no token is multiplied by an empty selection."""

    def __init__(self, dim: int = 8, experts: int = 4):
        super().__init__()
        self.gate = nn.Linear(dim, experts, bias=False)
        self.experts = nn.ModuleList(nn.Linear(dim, dim) for _ in range(experts))

    def forward(self, x):
        top, index = self.gate(x).topk(2, dim=-1)
        weights = torch.zeros(len(x), len(self.experts)).scatter(1, index, top.softmax(-1))
        out = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            token, _ = torch.where(index == e)
            out = out.index_add(0, token, weights[token, e, None] * F.gelu(expert(x[token])))
        return out


@healthy()
def mixture_of_experts_top_two_runs_empty_experts() -> smokestep.Training:
    model = nn.Sequential(TopTwoExperts(), nn.LayerNorm(8), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled(3))


class StochasticDepth(nn.Module):
    def __init__(self, block: nn.Module, p: float):
        super().__init__()
        self.block, self.p = block, p

    def forward(self, x):
        if self.training and torch.rand(1).item() < self.p:
            return x
        return x + self.block(x)


@healthy()
def stochastic_depth() -> smokestep.Training:
    blocks = [StochasticDepth(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), 0.5) for _ in range(5)]
    model = nn.Sequential(*blocks, nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())


class DropPath(nn.Module):
    def __init__(self, p: float = 0.3):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        keep = (torch.rand(x.size(0), 1) >= self.p).to(x.dtype)
        return x * keep / (1 - self.p)


@healthy()
def drop_path_per_sample() -> smokestep.Training:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU()) for _ in range(3))
            self.drop_path = DropPath()
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            for block in self.blocks:
                x = x + self.drop_path(block(x))
            return self.head(x)

    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())


class LayerDropEncoder(nn.Module):
    def __init__(self, layerdrop: float = 0.6):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))
        self.layerdrop = layerdrop
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        for layer in self.layers:
            if self.training and random.random() < self.layerdrop:
                continue
            x = x + torch.tanh(layer(x))
        return self.out(x)


@healthy()
def layer_drop_with_python_random() -> smokestep.Training:
    model = LayerDropEncoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())


class MultiTask(nn.Module):
    def __init__(self, tasks: int):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(16, 3) for _ in range(tasks))

    def forward(self, x, task: int):
        return self.heads[task](self.trunk(x))


@healthy()
def multi_task_with_alternating_heads() -> smokestep.Training:
    model = MultiTask(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    state = {"i": 0}

    def step(batch):
        x, y = batch
        task = state["i"] % 2
        state["i"] += 1
        loss = F.cross_entropy(model(x, task), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())


@healthy()
def multi_task_with_more_heads_than_steps() -> smokestep.Training:
    model = MultiTask(7)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    state = {"i": 0}

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x, state["i"] % 7), y)
        state["i"] += 1
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())


@healthy()
def alternating_losses_on_a_shared_trunk() -> smokestep.Training:
    """Two optimizers share the trunk on purpose: each task moves it with its own loss, turn by turn."""
    trunk, classify, reconstruct = nn.Linear(8, 16), nn.Linear(16, 3), nn.Linear(16, 8)
    first = torch.optim.Adam([*trunk.parameters(), *classify.parameters()], lr=1e-3)
    second = torch.optim.Adam([*trunk.parameters(), *reconstruct.parameters()], lr=1e-3)

    def step(batch):
        x, y = batch
        first.zero_grad()
        class_loss = F.cross_entropy(classify(torch.relu(trunk(x))), y)
        class_loss.backward()
        first.step()

        second.zero_grad()
        reconstruction_loss = F.mse_loss(reconstruct(torch.relu(trunk(x))), x)
        reconstruction_loss.backward()
        second.step()
        return class_loss, reconstruction_loss

    return smokestep.Training(step, labelled())


class EarlyExit(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(3))
        self.exits = nn.ModuleList(nn.Linear(8, 3) for _ in range(3))

    def forward(self, x):
        outputs = []
        for stage, exit_ in zip(self.stages, self.exits):
            x = stage(x)
            outputs.append(exit_(x))
            if not self.training and outputs[-1].softmax(-1).max() > 0.9:
                break
        return outputs


@healthy()
def early_exits_deep_supervision() -> smokestep.Training:
    model = EarlyExit()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        loss = sum(w * F.cross_entropy(out, y) for w, out in zip((0.3, 0.3, 1.0), model(x)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())


class Inception(nn.Module):
    """An auxiliary head that runs in training only, and a feature output that nobody reads in this loop."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.aux = nn.Linear(16, 3)
        self.top = nn.Linear(16, 3)

    def forward(self, x):
        h = F.relu(self.stem(x))
        aux = self.aux(h) if self.training else None
        return {"logits": self.top(h), "aux_logits": aux, "features": h}


@healthy()
def auxiliary_head_and_unread_features() -> smokestep.Training:
    model = Inception()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(batch):
        x, y = batch
        out = model(x)
        loss = F.cross_entropy(out["logits"], y) + 0.4 * F.cross_entropy(out["aux_logits"], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())


class AdaptiveTime(nn.Module):
    """Data-dependent depth: recurs until the halting scores are spent."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(8, 8)
        self.halt = nn.Linear(8, 1)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        h = torch.zeros_like(x)
        left = torch.ones(len(x), 1)
        answer, ponder = torch.zeros_like(x), torch.zeros(len(x), 1)
        for _ in range(6):
            h = self.cell(x, h)
            p = torch.minimum(torch.sigmoid(self.halt(h)), left)
            answer = answer + p * h
            ponder = ponder + left
            left = left - p
            if (left <= 0.05).all():
                break
        return self.out(answer + left * h), ponder.mean()


@healthy()
def adaptive_computation_time() -> smokestep.Training:
    model = AdaptiveTime()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        logits, ponder = model(x)
        loss = F.cross_entropy(logits, y) + 0.01 * ponder
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())
