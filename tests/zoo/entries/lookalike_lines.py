"""Several losses on one line: loops and choices in which one alone would look wrong, and pairs that are right."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp(n_out: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, n_out))


def train(model: nn.Module, loss_of, batch) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        loss = loss_of(model, *data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch)


def labelled() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(12, 8), torch.randint(0, 4, (12,))


@healthy()
def every_view_against_every_view_itself_included() -> smokestep.Training:
    def agreement(model, x, y):
        views = [model(x + 0.1 * torch.randn_like(x)) for _ in range(3)]
        loss = F.cross_entropy(views[0], y)
        for one in views:
            for other in views:
                loss = loss + 0.1 * F.mse_loss(one, other.detach())
        return loss

    return train(mlp(), agreement, labelled())


@healthy()
def views_compared_in_one_expression() -> smokestep.Training:
    def agreement(model, x, y):
        views = [model(x + 0.1 * torch.randn_like(x)) for _ in range(2)]
        return F.cross_entropy(views[0], y) + sum(F.mse_loss(a, b.detach()) for a in views for b in views)

    return train(mlp(), agreement, labelled())


@healthy()
def either_of_two_losses_on_one_line() -> smokestep.Training:
    state = {"step": 0}

    def loss_of(model, x, y):
        state["step"] += 1
        out = model(x)
        return F.cross_entropy(out, y) if state["step"] % 2 else F.cross_entropy(out / 2.0, y, label_smoothing=0.1)

    return train(mlp(), loss_of, labelled())


@healthy()
def mutual_learning_on_one_line() -> smokestep.Training:
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = mlp(), mlp()

        def forward(self, x):
            return self.one(x), self.other(x)

    def loss_of(model, x, y):
        a, b = model(x)
        p, q = a.detach().softmax(1), b.detach().softmax(1)
        first, second = a.log_softmax(1), b.log_softmax(1)
        mimicry = F.kl_div(first, q, reduction="sum") + F.kl_div(second, p, reduction="sum")
        return F.cross_entropy(a, y) + F.cross_entropy(b, y) + mimicry / len(x)

    return train(Pair(), loss_of, labelled())


@healthy()
def codebook_and_commitment_on_one_line() -> smokestep.Training:
    class Quantised(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = mlp(6), nn.Linear(6, 8)
            self.codes = nn.Parameter(torch.randn(5, 6))

        def forward(self, x):
            z = self.encoder(x)
            q = self.codes[torch.cdist(z, self.codes).argmin(1)]
            both = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
            return F.mse_loss(self.decoder(z + (q - z).detach()), x) + both

    def loss_of(model, x):
        return model(x)

    return train(Quantised(), loss_of, (torch.randn(12, 8),))


@healthy()
def squares_by_two_helpers_called_twice_on_one_line() -> smokestep.Training:
    def distance(a, b):
        return F.mse_loss(a, b)

    def loss_of(model, x, target):
        out = model(x)
        return distance(out, target) + 0.1 * distance(out.mean(1), target.mean(1))

    return train(mlp(), loss_of, (torch.randn(12, 8), torch.randn(12, 4)))
