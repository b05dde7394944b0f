"""Correct programs that look like a wrong mode: frozen statistics, single images, dropout kept on, eval on purpose."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def images(n: int = 6):
    return torch.randn(n, 3, 8, 8), torch.randint(0, 3, (n,))


def conv_net(norm=nn.BatchNorm2d) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), norm(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3)
    )


def classify(model: nn.Module, data, lr: float = 0.05) -> smokestep.Training:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, data)


@healthy()
def always_in_eval_without_mode_sensitive_layers() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3)).eval()
    return classify(model, batch())


@healthy()
def dropout_of_zero_in_eval() -> smokestep.Training:
    return classify(nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.0), nn.ReLU(), nn.Linear(16, 3)).eval(), batch())


class FrozenBN(nn.Module):
    """A pretrained detector: train() leaves its normalisation in inference mode, its affine part frozen too."""

    def __init__(self):
        super().__init__()
        self.body = conv_net()
        with torch.no_grad():
            self.body(torch.randn(32, 3, 8, 8) + 1)  # as if pretrained
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def train(self, mode: bool = True):
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x):
        return self.body(x)


@healthy()
def frozen_batch_norm_in_a_trained_network() -> smokestep.Training:
    model = FrozenBN().train()
    return classify(model, images())


class FrozenStatistics(FrozenBN):
    def __init__(self):
        super().__init__()
        self.body[1].requires_grad_(True)


@healthy(
    suspicions={
        "inference-normalization": "pretrained statistics stay frozen while scale and shift are tuned: true, and meant"
    }
)
def frozen_statistics_with_trained_affine() -> smokestep.Training:
    return classify(FrozenStatistics().train(), images())


@healthy(suspicions={"batch-leak": "true, and on purpose: the batch decides in evaluation too"})
def batch_norm_without_running_statistics() -> smokestep.Training:
    return classify(conv_net(lambda n: nn.BatchNorm2d(n, track_running_stats=False)), images())


@healthy()
def instance_norm_per_image() -> smokestep.Training:
    return classify(conv_net(lambda n: nn.InstanceNorm2d(n, affine=True)), images())


@healthy()
def single_image_through_batch_norm() -> smokestep.Training:
    """One image has 36 values a channel: enough for a variance."""
    return classify(conv_net(), images(1))


@healthy()
def statistics_reestimated_under_no_grad() -> smokestep.Training:
    """Precise batch norm: after the update the statistics are averaged anew over a few batches, without gradient."""
    model = conv_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(data):
        x, y = data
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for i in range(2):
                model[1].momentum = 1.0 / (i + 1)
                model(x + 0.1 * torch.randn_like(x))
        model[1].momentum = 0.1
        return loss

    return smokestep.Training(step, images())


class MonteCarloDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.b(F.dropout(F.relu(self.a(x)), p=0.2, training=True))


@healthy(suspicions={"stuck-dropout": "dropout stays on in eval mode, to sample predictions: true, and meant"})
def monte_carlo_dropout_for_uncertainty() -> smokestep.Training:
    model = MonteCarloDropout()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            spread = torch.stack([model(x).softmax(-1) for _ in range(4)]).std(0).mean().item()
        return loss, spread

    return smokestep.Training(step, batch())


@healthy()
def monte_carlo_dropout_by_modules_switched_on() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        model.eval()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.train()
        with torch.no_grad():
            spread = torch.stack([model(x) for _ in range(3)]).std(0).mean().item()
        return loss, spread

    return smokestep.Training(step, batch())
