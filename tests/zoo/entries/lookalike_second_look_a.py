"""Derivatives taken without a graph that a loss may well hold as a number, and a scaled loss that overflows alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def trained(model: nn.Module, loss: Callable[..., torch.Tensor], batch: Any) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch: Any) -> torch.Tensor:
        optimizer.zero_grad()
        total = loss(model, *batch)
        total.backward()
        optimizer.step()
        return total

    return smokestep.Training(step, batch)


@healthy()
def score_matching_with_its_square_written_out() -> smokestep.Training:
    """The score of the noise is known: its own square is a number, as data are."""

    def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        noisy = (x + 0.5 * torch.randn_like(x)).requires_grad_()
        (score,) = torch.autograd.grad(-0.5 * (noisy - x).pow(2).sum() / 0.25, noisy)
        said = model(noisy.detach())
        return said.pow(2).sum(1).mean() - 2 * (said * score).sum(1).mean() + score.pow(2).sum(1).mean()

    return trained(nn.Linear(8, 8), loss, (torch.randn(12, 8),))


@healthy()
def slopes_of_a_teacher_fitted_with_their_square_written_out() -> smokestep.Training:
    """The teacher's parameters could be trained, and this loss trains them not."""
    teacher = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        inputs = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(teacher(inputs).sum(), inputs)
        said = model(x)
        return said.pow(2).sum(1).mean() - 2 * (said * slope).sum(1).mean() + slope.pow(2).sum(1).mean()

    return trained(nn.Linear(8, 8), loss, (torch.randn(12, 8),))


@healthy()
def energy_with_a_quadratic_part_and_samples_by_langevin() -> smokestep.Training:
    """The quadratic part of the samples' energy has no parameter, so it has no gradient; the samples need none."""

    def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        def energy(v: torch.Tensor) -> torch.Tensor:
            return model(v).mean() + 0.5 * v.pow(2).sum(1).mean()

        z = torch.randn_like(x)
        for _ in range(2):
            start = z.clone().requires_grad_()
            (slope,) = torch.autograd.grad(energy(start), start)
            z = z - 0.1 * slope + 0.1 * torch.randn_like(z)
        return energy(x) - energy(z) + 0.1 * (model(x) ** 2 + model(z) ** 2).mean()

    return trained(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)), loss, (torch.randn(12, 8),))


@healthy()
def scaled_loss_that_overflows_while_its_gradients_do_not() -> smokestep.Training:
    """The scale is finite and the loss above 1: their product is infinite, and no derivative asks for it."""
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=3.4e38)

    def step(batch: Any) -> None:
        x, y = batch
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()

    return smokestep.Training(step, (torch.randn(12, 8), torch.randint(0, 3, (12,))))
