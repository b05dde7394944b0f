"""Correct programs that keep tensors from step to step: values without history, or that of the last step alone."""

from __future__ import annotations

from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp(n_in: int = 8, n_out: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_out))


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


@healthy()
def losses_kept_as_values() -> smokestep.Training:
    """Detached tensors in a list, a running sum of them, and an average that is a tensor."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters())
    losses, total, average = [], torch.zeros(()), [torch.zeros(())]

    def step(data):
        nonlocal total
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0]), data[1])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        total += loss.detach()
        average[0] = 0.9 * average[0] + 0.1 * loss.data
        return loss

    return smokestep.Training(step, batch())


@healthy()
def last_outputs_kept_on_the_model() -> smokestep.Training:
    """Attention maps and the last loss are kept for a plot, each time in place of the ones before."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    head = nn.Linear(8, 3)
    optimizer = torch.optim.Adam([*attention.parameters(), *head.parameters()])
    kept: dict[str, torch.Tensor] = {}

    def step(data):
        optimizer.zero_grad()
        hidden, kept["weights"] = attention(data[0], data[0], data[0])
        kept["loss"] = F.cross_entropy(head(hidden.mean(1)), data[1])
        kept["loss"].backward()
        optimizer.step()
        return kept["loss"]

    return smokestep.Training(step, (torch.randn(6, 4, 8), torch.randint(0, 3, (6,))))


@healthy()
def contrast_with_a_memory_of_keys() -> smokestep.Training:
    """Keys of earlier steps are negatives: a queue of values."""
    model = mlp(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    memory: deque[torch.Tensor] = deque(maxlen=4)
    memory.append(F.normalize(torch.randn(10, 4), dim=1))

    def step(x):
        optimizer.zero_grad()
        query = F.normalize(model(x), dim=1)
        with torch.no_grad():
            key = F.normalize(model(x + 0.01 * torch.randn_like(x)), dim=1)
        logits = torch.cat([(query * key).sum(1, keepdim=True), query @ torch.cat(list(memory)).T], dim=1)
        loss = F.cross_entropy(logits / 0.1, torch.zeros(len(x), dtype=torch.long))
        loss.backward()
        optimizer.step()
        memory.append(key)
        return loss

    return smokestep.Training(step, torch.randn(10, 8))


@healthy()
def hidden_state_detached_between_chunks() -> smokestep.Training:
    """Truncated backpropagation through time: the state goes on, its history does not."""
    cell, head = nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 3)
    optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()])
    state: list[tuple[torch.Tensor, torch.Tensor] | None] = [None]

    def step(data):
        optimizer.zero_grad()
        before = state[0] and tuple(each.detach() for each in state[0])
        hidden, state[0] = cell(data[0], before)
        loss = F.cross_entropy(head(hidden).flatten(0, 1), data[1].flatten())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(5, 6, 8), torch.randint(0, 3, (5, 6))))


@healthy()
def loss_summed_over_micro_batches() -> smokestep.Training:
    """The losses of one update are summed with their history, and the sum begins anew after it."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters())

    def step(data):
        optimizer.zero_grad()
        total = 0.0
        for x, y in zip(data[0].chunk(4), data[1].chunk(4), strict=True):
            total = total + F.cross_entropy(model(x), y, reduction="sum")
        loss = total / len(data[0])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch(12))


@healthy()
def accumulated_over_calls_of_the_step() -> smokestep.Training:
    """Losses are summed over three calls, and only then differentiated; nothing is updated between them."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses: list[torch.Tensor] = []

    def step(data):
        losses.append(F.cross_entropy(model(data[0]), data[1]))
        if len(losses) == 3:
            optimizer.zero_grad()
            (sum(losses) / 3).backward()
            optimizer.step()
            losses.clear()

    return smokestep.Training(step, batch())
