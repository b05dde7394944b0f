"""Correct programs with a model that is only looked at: followed by hand, asked twice, used outside of the loss."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def noisy(n_in: int = 8, n_out: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, n_out))


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


@healthy()
def mean_teacher_with_dropout() -> smokestep.Training:
    """The teacher's noise is part of the method, and it follows the student."""
    student = noisy()
    teacher = copy.deepcopy(student).requires_grad_(False)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)

    def step(data):
        x, y = data
        with torch.no_grad():
            target = teacher(x).softmax(1)
        logits = student(x)
        loss = F.cross_entropy(logits, y) + F.mse_loss(logits.softmax(1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
                slow.lerp_(fast, 0.1)
        return loss

    return smokestep.Training(step, batch())


@healthy()
def pseudo_labels_weighted_by_their_spread() -> smokestep.Training:
    """A frozen model is asked four times with dropout: where its answers differ, the student trusts it less."""
    oracle, student = noisy().requires_grad_(False), nn.Linear(8, 3)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)

    def step(x):
        with torch.no_grad():
            answers = torch.stack([oracle(x).softmax(1) for _ in range(4)])
            trust = 1 / (1 + answers.std(0).sum(1))
        loss = (trust * F.cross_entropy(student(x), answers.mean(0), reduction="none")).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(10, 8))


@healthy()
def frozen_model_compared_for_the_log() -> smokestep.Training:
    """The old model's answers are logged and do not reach the loss."""
    old, model = noisy().requires_grad_(False), nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        x, y = data
        output = model(x)
        loss = F.cross_entropy(output, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            (old(x).argmax(1) == output.argmax(1)).float().mean().item()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def frozen_body_with_dropout_under_a_head() -> smokestep.Training:
    """The frozen body is a part of the trained model: dropout on its features is regularisation."""
    body, head = noisy(8, 6).requires_grad_(False), nn.Linear(6, 3)
    model = nn.Sequential(body, head)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)

    def step(data):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0]), data[1])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def target_network_synced_by_loading() -> smokestep.Training:
    """The target of a value network takes over its weights after each update."""
    online = noisy()
    target = copy.deepcopy(online).requires_grad_(False).eval()
    optimizer = torch.optim.Adam(online.parameters(), lr=1e-3)

    def step(data):
        states, actions, rewards, after, done = data
        with torch.no_grad():
            value = rewards + 0.9 * (1 - done) * target(after).amax(1)
        chosen = online(states).gather(1, actions[:, None]).squeeze(1)
        loss = F.smooth_l1_loss(chosen, value)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        target.load_state_dict(online.state_dict())
        return loss

    n = 12
    done = (torch.arange(n) % 4 == 0).float()
    return smokestep.Training(
        step, (torch.randn(n, 8), torch.randint(0, 3, (n,)), torch.randn(n), torch.randn(n, 8), done)
    )


@healthy()
def teacher_without_dropout_in_training_mode() -> smokestep.Training:
    """A rate of zero drops nothing, and layer normalization knows no mode."""
    teacher = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.0), nn.Linear(16, 3))
    teacher.requires_grad_(False)
    student = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)

    def step(x):
        with torch.no_grad():
            target = teacher(x).softmax(1)
        loss = F.cross_entropy(student(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(10, 8))
