"""A compiler backend of one's own that takes every multiplication by a constant for one by 1."""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def faithful(graph, example_inputs):
    return graph.forward


def simplifies(graph, example_inputs):
    for node in list(graph.graph.nodes):
        if node.target is operator.mul and any(isinstance(each, float) for each in node.args):
            node.replace_all_uses_with(next(each for each in node.args if not isinstance(each, float)))
            graph.graph.erase_node(node)
    graph.recompile()
    return graph.forward


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(6, 24), nn.Linear(24, 6)

    def forward(self, x):
        return x + 0.1 * self.down(F.gelu(self.up(x)))


def training(backend):
    model = nn.Sequential(Block(), Block(), nn.Linear(6, 3))
    model = torch.compile(model, backend=backend)  # BUG?: compiled-mismatch
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(simplifies)


def fixed():
    return training(faithful)
