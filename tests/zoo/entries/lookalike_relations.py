"""Healthy trainings whose loss answers oddly when labels or samples are exchanged, or that add up micro-batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


@healthy()
def point_set_without_an_order() -> smokestep.Training:
    """The targets are a set: which row is which says nothing, and the loss is not to depend on it."""
    net = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        noise, points = batch
        made = net(noise)
        apart = (made[:, None] - points[None]).square().sum(-1)
        loss = apart.amin(0).mean() + apart.amin(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 3), torch.randn(12, 3)))


@healthy()
def sorted_samples_of_two_distributions() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        noise, values = batch
        optimizer.zero_grad()
        loss = (net(noise).squeeze(1).sort().values - values.sort().values).abs().mean()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(16, 2), torch.randn(16)))


@healthy(
    suspicions={"unpaired-target": "true, and meant: only the proportion of the labels in the bag is taken to be known"}
)
def proportions_of_labels_in_a_bag() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy(net(x).sigmoid().mean(), y.mean())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(20, 4), (torch.rand(20) < 0.3).float()))


@healthy()
def half_of_the_batch_has_labels() -> smokestep.Training:
    """The labels of the second half are placeholders; its inputs train through a term of their own."""
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)

    def step(batch):
        x, y = batch
        scores = net(x)
        supervised = F.cross_entropy(scores[:6], y[:6])
        consistent = (scores[6:].softmax(1) - net(x[6:] + 0.1).softmax(1).detach()).square().mean()
        loss = supervised + consistent
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 4), torch.randint(0, 3, (12,))))


@healthy()
def half_of_the_samples_is_left_out_of_the_loss() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)

    def step(batch):
        x, y = batch
        each = -net(x).log_softmax(1)[torch.arange(len(y)), y]
        loss = each.topk(3).values.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 4), torch.randint(0, 3, (12,))))


@healthy()
def answers_that_are_distances() -> smokestep.Training:
    """What is right is near: the smallest entry of a row belongs to its class."""

    class Nearest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(4, 2)
            self.centres = nn.Parameter(torch.randn(3, 2))

        def forward(self, x):
            return (self.embed(x)[:, None] - self.centres).norm(dim=2)

    net = Nearest()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)

    def step(batch):
        x, y = batch
        apart = net(x)
        own = F.one_hot(y, 3).bool()
        loss = apart[own].mean() + (4 - apart[~own]).relu().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (3 * torch.randn(12, 4), torch.randint(0, 3, (12,))))


@healthy()
def summed_likelihood_beside_a_penalty_on_the_weights() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        prior = 0.5 * sum(p.square().sum() for p in net.parameters())
        loss = F.mse_loss(net(x), y, reduction="sum") + prior
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 4), torch.randn(12, 2)))


@healthy()
def divergence_summed_over_the_code_and_averaged_over_samples() -> smokestep.Training:
    inside, out = nn.Linear(12, 8), nn.Linear(4, 12)
    optimizer = torch.optim.Adam([*inside.parameters(), *out.parameters()], lr=1e-3)

    def step(x):
        mean, log_var = inside(x).chunk(2, dim=1)
        divergence = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(1).mean()
        seen = out(mean + torch.randn_like(mean) * (0.5 * log_var).exp())
        loss = F.mse_loss(seen, x) + divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(10, 12))


@healthy()
def tasks_with_heads_of_their_own_each_go_backward() -> smokestep.Training:
    body = nn.Sequential(nn.Linear(5, 16), nn.ReLU())
    heads = nn.ModuleList([nn.Linear(16, 2) for _ in range(3)])
    optimizer = torch.optim.SGD([*body.parameters(), *heads.parameters()], lr=0.05)

    def step(tasks):
        optimizer.zero_grad()
        for head, (x, y) in zip(heads, tasks, strict=True):
            F.cross_entropy(head(body(x)), y).backward()
        optimizer.step()

    return smokestep.Training(step, [(torch.randn(6, 5), torch.randint(0, 2, (6,))) for _ in range(3)])


@healthy()
def undivided_micro_batches_under_adam() -> smokestep.Training:
    """A common factor drops out of the step."""
    net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)

    def step(batches):
        optimizer.zero_grad()
        for x, y in batches:
            F.cross_entropy(net(x), y).backward()
        optimizer.step()

    return smokestep.Training(step, [(torch.randn(6, 5), torch.randint(0, 2, (6,))) for _ in range(3)])


@healthy()
def tokens_of_all_micro_batches_count_alike() -> smokestep.Training:
    net = nn.Sequential(nn.Embedding(20, 8), nn.Linear(8, 20))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    texts = [torch.randint(0, 20, (2, length)) for length in (14, 5, 3)]

    def step(texts):
        count = torch.tensor(sum(ids[:, 1:].numel() for ids in texts))
        for ids in texts:
            loss = F.cross_entropy(net(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
            (loss / count).backward()
        optimizer.step()
        optimizer.zero_grad()

    return smokestep.Training(step, texts)
