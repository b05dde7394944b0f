"""Correct programs that leave a part of their batch alone, because nothing is lost by it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def classified(batch: dict[str, torch.Tensor]) -> smokestep.Training:
    """Tokens averaged over their true length, and classified."""
    embed, head = nn.Embedding(20, 8, padding_idx=0), nn.Linear(8, 3)
    optimizer = torch.optim.Adam([*embed.parameters(), *head.parameters()], lr=1e-2)

    def step(data):
        data = {name: each.to("cpu") for name, each in data.items()}
        keep = data.get("attention_mask", torch.ones_like(data["input_ids"])).float().unsqueeze(-1)
        hidden = (embed(data["input_ids"]) * keep).sum(1) / keep.sum(1)
        loss = F.cross_entropy(head(hidden), data["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch)


@healthy()
def lengths_beside_a_mask() -> smokestep.Training:
    """The mask says the same as the lengths."""
    lengths = torch.tensor([2, 5, 3, 5, 4, 1])
    mask = (torch.arange(5) < lengths[:, None]).long()
    ids = torch.randint(1, 20, (6, 5)) * mask
    return classified({"input_ids": ids, "attention_mask": mask, "lengths": lengths, "label": torch.arange(6) % 3})


@healthy()
def lengths_that_are_all_equal() -> smokestep.Training:
    """Windows of one length: nothing is padded."""
    ids = torch.randint(1, 20, (6, 5))
    return classified({"input_ids": ids, "length": torch.full((6,), 5), "label": torch.arange(6) % 3})


@healthy()
def causal_model_with_masked_labels() -> smokestep.Training:
    """Padding stands at the end, where a causal model does not look from, and its labels are -100."""
    embed, cell, head = nn.Embedding(20, 8, padding_idx=0), nn.GRU(8, 16, batch_first=True), nn.Linear(16, 20)
    optimizer = torch.optim.Adam([*embed.parameters(), *cell.parameters(), *head.parameters()], lr=1e-2)

    def step(data):
        hidden, _ = cell(embed(data["input_ids"]))
        loss = F.cross_entropy(head(hidden).flatten(0, 1), data["labels"].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    mask = torch.arange(6) < torch.tensor([6, 4, 5, 3])[:, None]
    ids = torch.randint(1, 20, (4, 7))
    labels = torch.where(mask, ids[:, 1:], -100)
    return smokestep.Training(step, {"input_ids": ids[:, :-1] * mask, "labels": labels, "attention_mask": mask.long()})


@healthy()
def episodes_without_an_end() -> smokestep.Training:
    """A task that goes on for ever: `terminated` is always false, and only the time limit cuts it."""
    q = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(q.parameters(), lr=1e-3)

    def step(data):
        with torch.no_grad():
            target = data["reward"] + 0.9 * q(data["next_state"]).amax(1)
        chosen = q(data["state"]).gather(1, data["action"][:, None]).squeeze(1)
        loss = F.mse_loss(chosen, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    n = 12
    states = {"state": torch.randn(n, 4), "next_state": torch.randn(n, 4), "reward": torch.randn(n)}
    flags = {"terminated": torch.zeros(n, dtype=torch.bool), "truncated": torch.arange(n) % 4 == 3}
    return smokestep.Training(step, {**states, **flags, "action": torch.randint(0, 2, (n,))})


@healthy()
def image_fitted_from_fixed_noise() -> smokestep.Training:
    """A deep image prior: one input, one picture."""
    net = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    noise = torch.rand(1, 2, 8, 8)

    def step(image):
        optimizer.zero_grad()
        loss = F.mse_loss(net(noise), image)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.rand(1, 1, 8, 8))


class Decoder(nn.Module):
    """Begins with the same token for every sample, and with its own state."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.cell, self.out = nn.Embedding(9, 8), nn.GRUCell(8, 8), nn.Linear(8, 9)

    def forward(self, token: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return self.out(self.cell(self.embed(token), state))


@healthy()
def first_token_is_always_the_same() -> smokestep.Training:
    decoder = Decoder()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-2)

    def step(data):
        state, first = data
        begin = torch.zeros(len(state), dtype=torch.long)
        optimizer.zero_grad()
        loss = F.cross_entropy(decoder(begin, state), first)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 8), torch.randint(0, 9, (8,))))


@healthy()
def learned_query_for_every_sample() -> smokestep.Training:
    """A query that is learned is repeated for the batch, and asks each sample's memory."""
    attend, head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)
    query = nn.Parameter(torch.randn(1, 1, 8))
    optimizer = torch.optim.Adam([query, *attend.parameters(), *head.parameters()], lr=1e-2)

    def step(data):
        memory, labels = data
        optimizer.zero_grad()
        found, _ = attend(query.expand(len(memory), -1, -1), memory, memory)
        loss = F.cross_entropy(head(found[:, 0]), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 5, 8), torch.randint(0, 3, (6,))))


@healthy()
def layout_in_the_edges_alone() -> smokestep.Training:
    """Nodes without features of their own: each has a one, and the graph tells them apart."""

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(1, 8), nn.Linear(8, 2)

        def forward(self, nodes: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
            hidden = F.relu(self.first(adjacency @ nodes))
            return self.last(adjacency @ hidden)

    net = Network()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)

    def step(data):
        adjacency, labels = data
        optimizer.zero_grad()
        loss = F.cross_entropy(net(torch.ones(len(adjacency), 1), adjacency), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, ((torch.rand(10, 10) < 0.3).float(), torch.arange(10) % 2), batch_dim=None)
