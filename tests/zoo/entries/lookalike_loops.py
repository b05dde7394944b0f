"""Correct programs that look like a wrong loop or role: odd orders, rates of zero, updates by hand, shared parts."""

from __future__ import annotations

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
def memory_gradients_projected_away() -> smokestep.Training:
    """A-GEM: the memory's gradient is taken, kept, cleared, and only then the batch's own is computed."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        (x, y), (memory_x, memory_y) = data
        optimizer.zero_grad()
        F.cross_entropy(model(memory_x), memory_y).backward()
        reference = torch.cat([p.grad.flatten().clone() for p in model.parameters()])
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        dot = gradient @ reference
        if dot < 0:
            gradient = gradient - dot / (reference @ reference) * reference
            index = 0
            for p in model.parameters():
                p.grad.copy_(gradient[index : index + p.numel()].view_as(p))
                index += p.numel()
        optimizer.step()
        return loss

    return smokestep.Training(step, (batch(), batch()))


@healthy()
def gradient_norm_logged_after_the_step() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    norms = []

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), float("inf")).item())
        return loss

    return smokestep.Training(step, batch())


@healthy()
def rate_set_by_hand_every_step() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    state = {"t": 0}

    def step(data):
        x, y = data
        state["t"] += 1
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * min(1.0, state["t"] / 5)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def one_group_held_by_a_zero_rate() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.Adam(
        [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters(), "lr": 1e-3}]
    )

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def micro_batches_clipped_one_by_one() -> smokestep.Training:
    """Private training by hand: every sample's gradient is clipped, the sum is noised, then comes the update."""
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        x, y = data
        total = [torch.zeros_like(p) for p in model.parameters()]
        for xi, yi in zip(x, y):
            optimizer.zero_grad()
            F.cross_entropy(model(xi[None]), yi[None]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for t, p in zip(total, model.parameters()):
                t += p.grad
        for t, p in zip(total, model.parameters()):
            p.grad = (t + 0.1 * torch.randn_like(t)) / len(x)
        optimizer.step()

    return smokestep.Training(step, batch(4))


@healthy()
def decoupled_weight_decay_by_hand() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.ndim > 1:
                    p.mul_(1 - 0.05 * 1e-2)
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def max_norm_constraint_after_the_update() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def step(data):
        x, y = data
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for layer in (model[0], model[2]):
                layer.weight.copy_(torch.renorm(layer.weight, 2, 0, 2.0))
        return loss

    return smokestep.Training(step, batch())


@healthy()
def two_backwards_before_one_update() -> smokestep.Training:
    model, regulariser = mlp(), nn.Linear(3, 1)
    optimizer = torch.optim.Adam([*model.parameters(), *regulariser.parameters()], lr=1e-3)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        (0.1 * F.softplus(regulariser(model(x.flip(0)))).mean()).backward()
        optimizer.step()

    return smokestep.Training(step, batch())


@healthy()
def update_skipped_when_the_loss_is_an_outlier() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    average = {"loss": None}

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x * (1 + 3 * torch.rand(()))), y)
        value = loss.item()
        if average["loss"] is not None and value > 3 * average["loss"]:
            return None
        average["loss"] = value if average["loss"] is None else 0.9 * average["loss"] + 0.1 * value
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def encoder_trained_by_the_critic_only() -> smokestep.Training:
    """Learning from pixels: the actor reads detached features, the critic's loss trains the encoder."""
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 8))
    actor, critic = mlp(8, 1), mlp(9, 1)
    critic_optimizer = torch.optim.Adam([*encoder.parameters(), *critic.parameters()], lr=1e-3)
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)

    def step(data):
        pixels, action, reward = data
        q = critic(torch.cat([encoder(pixels), action], dim=1)).squeeze(1)
        critic_loss = F.mse_loss(q, reward)
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()

        features = encoder(pixels).detach()
        actor_loss = -critic(torch.cat([features, torch.tanh(actor(features))], dim=1)).mean()
        actor_optimizer.zero_grad()
        actor_loss.backward()
        actor_optimizer.step()
        return critic_loss, actor_loss

    return smokestep.Training(step, (torch.rand(6, 3, 8, 8), torch.rand(6, 1) * 2 - 1, torch.randn(6)))


@healthy()
def independent_networks_in_one_optimizer() -> smokestep.Training:
    """A deep ensemble: nothing connects the members, and one optimizer holds them all."""
    members = nn.ModuleList(mlp() for _ in range(3))
    optimizer = torch.optim.Adam(members.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        for member in members:
            optimizer.zero_grad()
            loss = F.cross_entropy(member(x), y)
            loss.backward()
            optimizer.step()
        return loss

    return smokestep.Training(step, batch())
