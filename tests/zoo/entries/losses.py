"""Losses: written by hand, combined, weighted, masked; over classes, ranks, distributions and derivatives."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp(n_out: int, n_in: int = 6) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 24), nn.ReLU(), nn.Linear(24, n_out))


def train(model: nn.Module, loss_of, data, lr: float = 1e-2) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(batch):
        optimizer.zero_grad()
        loss = loss_of(model, *batch)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, data)


def inputs(n: int = 12):
    return torch.randn(n, 6)


def labels(classes: int = 4, n: int = 12):
    return torch.randint(0, classes, (n,))


@healthy()
def focal_loss_from_cross_entropy() -> smokestep.Training:
    def focal(model, x, y):
        ce = F.cross_entropy(model(x), y, reduction="none")
        pt = torch.exp(-ce)
        return ((1 - pt) ** 2 * ce).mean()

    return train(mlp(4), focal, (inputs(), labels()))


@healthy()
def binary_focal_loss_on_probabilities() -> smokestep.Training:
    def focal(model, x, y):
        p = torch.sigmoid(model(x).squeeze(1))
        ce = F.binary_cross_entropy(p, y, reduction="none")
        p_t = p * y + (1 - p) * (1 - y)
        return (ce * (1 - p_t) ** 2).mean()

    return train(mlp(1), focal, (inputs(), labels(2).float()))


@healthy()
def mixup_with_two_cross_entropies() -> smokestep.Training:
    def mixup(model, x, y):
        lam = torch.distributions.Beta(0.4, 0.4).sample().item()
        index = torch.randperm(len(x))
        logits = model(lam * x + (1 - lam) * x[index])
        return lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[index])

    return train(mlp(4), mixup, (inputs(), labels()))


@healthy()
def cutmix_with_probability_targets() -> smokestep.Training:
    def loss_of(model, x, y):
        soft = F.one_hot(y, 4).float()
        soft = 0.7 * soft + 0.3 * soft.flip(0)
        return F.cross_entropy(model(0.7 * x + 0.3 * x.flip(0)), soft)

    return train(mlp(4), loss_of, (inputs(), labels()))


@healthy()
def class_weights_and_label_smoothing() -> smokestep.Training:
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5, 1.0]), label_smoothing=0.1)
    return train(mlp(4), lambda model, x, y: criterion(model(x), y), (inputs(), labels()))


@healthy()
def nll_of_log_softmax() -> smokestep.Training:
    model = nn.Sequential(mlp(4), nn.LogSoftmax(dim=1))
    return train(model, lambda model, x, y: F.nll_loss(model(x), y), (inputs(), labels()))


@healthy()
def multi_label_logits() -> smokestep.Training:
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.full((5,), 3.0))
    targets = (torch.rand(12, 5) < 0.3).float()
    return train(mlp(5), lambda model, x, y: criterion(model(x), y), (inputs(), targets))


class UNet(nn.Module):
    def __init__(self, classes: int = 3):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.middle = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(inplace=True))
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.out = nn.Conv2d(16, classes, 1)

    def forward(self, x):
        skip = self.down(x)
        return self.out(torch.cat([skip, self.up(self.middle(skip))], dim=1))


@healthy()
def segmentation_with_ignored_border() -> smokestep.Training:
    masks = torch.randint(0, 3, (2, 8, 8))
    masks[:, 0] = 255
    criterion = nn.CrossEntropyLoss(ignore_index=255)
    return train(UNet(), lambda model, x, y: criterion(model(x), y), (torch.randn(2, 1, 8, 8), masks))


@healthy()
def segmentation_with_soft_dice() -> smokestep.Training:
    def dice_and_bce(model, x, y):
        logits = model(x)
        p = logits.sigmoid()
        overlap = (p * y).sum(dim=(1, 2, 3))
        dice = 1 - (2 * overlap + 1) / (p.sum(dim=(1, 2, 3)) + y.sum(dim=(1, 2, 3)) + 1)
        return dice.mean() + F.binary_cross_entropy_with_logits(logits, y)

    masks = (torch.rand(2, 1, 8, 8) < 0.4).float()
    return train(UNet(classes=1), dice_and_bce, (torch.randn(2, 1, 8, 8), masks))


@healthy()
def mixture_density_network() -> smokestep.Training:
    def nll(model, x, y):
        weight, mean, log_sigma = model(x).chunk(3, dim=-1)
        log_component = -0.5 * ((y - mean) / log_sigma.exp()) ** 2 - log_sigma - 0.5 * math.log(2 * math.pi)
        return -torch.logsumexp(F.log_softmax(weight, -1) + log_component, dim=-1).mean()

    return train(mlp(3 * 5), nll, (inputs(), torch.randn(12, 1)))


@healthy()
def heteroscedastic_gaussian() -> smokestep.Training:
    def nll(model, x, y):
        mean, raw = model(x).unbind(-1)
        return F.gaussian_nll_loss(mean, y, F.softplus(raw) + 1e-3)

    return train(mlp(2), nll, (inputs(), torch.randn(12)))


@healthy()
def quantile_regression_broadcast_on_purpose() -> smokestep.Training:
    quantiles = torch.tensor([0.1, 0.5, 0.9])

    def pinball(model, x, y):
        error = y.unsqueeze(1) - model(x)
        return torch.maximum(quantiles * error, (quantiles - 1) * error).mean()

    return train(mlp(3), pinball, (inputs(), torch.randn(12)))


@healthy()
def poisson_counts() -> smokestep.Training:
    criterion = nn.PoissonNLLLoss()
    counts = torch.poisson(torch.full((12,), 3.0))
    return train(mlp(1), lambda model, x, y: criterion(model(x).squeeze(-1), y), (inputs(), counts))


@healthy()
def ordinal_thresholds() -> smokestep.Training:
    class Ordinal(nn.Module):
        def __init__(self):
            super().__init__()
            self.score = nn.Linear(6, 1, bias=False)
            self.cuts = nn.Parameter(torch.tensor([-1.0, 0.0, 1.0]))

        def forward(self, x):
            return self.score(x) - self.cuts

    def loss_of(model, x, y):
        above = (y[:, None] > torch.arange(3)).float()
        return F.binary_cross_entropy_with_logits(model(x), above)

    return train(Ordinal(), loss_of, (inputs(), labels(4)))


@healthy()
def multi_margin_hinge() -> smokestep.Training:
    return train(mlp(4), lambda model, x, y: F.multi_margin_loss(model(x), y), (inputs(), labels()))


@healthy()
def ranking_pairs() -> smokestep.Training:
    def loss_of(model, better, worse):
        return F.margin_ranking_loss(model(better), model(worse), torch.ones(len(better), 1), margin=0.5)

    return train(mlp(1), loss_of, (inputs(), inputs()))


@healthy()
def kl_towards_soft_labels() -> smokestep.Training:
    targets = torch.rand(12, 4).softmax(-1)
    criterion = nn.KLDivLoss(reduction="batchmean")
    return train(mlp(4), lambda m, x, y: criterion(F.log_softmax(m(x), dim=-1), y), (inputs(), targets))


@healthy()
def kl_between_two_dropout_passes() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 4))

    def r_drop(model, x, y):
        a, b = model(x), model(x)
        ce = 0.5 * (F.cross_entropy(a, y) + F.cross_entropy(b, y))
        log_p, log_q = a.log_softmax(-1), b.log_softmax(-1)
        kl = F.kl_div(log_p, log_q, log_target=True, reduction="batchmean")
        return ce + 0.5 * (kl + F.kl_div(log_q, log_p, log_target=True, reduction="batchmean"))

    return train(model, r_drop, (inputs(), labels()))


@healthy()
def confidence_penalty_subtracts_an_entropy() -> smokestep.Training:
    def loss_of(model, x, y):
        logits = model(x)
        p = logits.softmax(-1)
        entropy = -(p * logits.log_softmax(-1)).sum(-1).mean()
        return F.cross_entropy(logits, y) - 0.1 * entropy

    return train(mlp(4), loss_of, (inputs(), labels()))


class RBFProcess(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_length = nn.Parameter(torch.zeros(()))
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.log_noise = nn.Parameter(torch.tensor(-2.0))

    def forward(self, x):
        squared = (x[:, None] - x[None]).pow(2).sum(-1)
        k = self.log_scale.exp() * torch.exp(-0.5 * squared / self.log_length.exp() ** 2)
        return k + self.log_noise.exp() * torch.eye(len(x))


@healthy()
def gaussian_process_marginal_likelihood() -> smokestep.Training:
    def nll(model, x, y):
        chol = torch.linalg.cholesky(model(x))
        alpha = torch.cholesky_solve(y[:, None], chol)
        return 0.5 * (y[None] @ alpha).squeeze() + chol.diagonal().log().sum() + 0.5 * len(y) * math.log(2 * math.pi)

    x = torch.randn(10, 2)
    return train(RBFProcess(), nll, (x, x.sin().sum(1)), lr=0.1)


@healthy()
def physics_informed_derivatives() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))

    def residual(model, t):
        t = t.clone().requires_grad_(True)
        u = model(t)
        (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
        start = torch.zeros(1, 1)
        return (ddu + u).pow(2).mean() + (model(start) - 1).pow(2).mean()

    return train(net, residual, (torch.rand(16, 1),))


@healthy()
def energy_and_forces() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 1))

    def loss_of(model, positions, energies, forces):
        positions = positions.detach().requires_grad_()
        distances = torch.stack(
            [(positions[:, i] - positions[:, j]).norm(dim=-1) for i, j in ((0, 1), (0, 2), (1, 2))], 1
        )
        energy = model(distances).squeeze(-1)
        predicted = -torch.autograd.grad(energy.sum(), positions, create_graph=True)[0]
        return F.mse_loss(energy, energies) + F.mse_loss(predicted, forces)

    return train(net, loss_of, (torch.randn(4, 3, 3), torch.randn(4), torch.randn(4, 3, 3)))


@healthy()
def arc_face_with_normalised_classes() -> smokestep.Training:
    class ArcFace(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(6, 8)
            self.weight = nn.Parameter(torch.randn(4, 8))

        def forward(self, x, y):
            cosine = F.linear(F.normalize(self.embed(x)), F.normalize(self.weight)).clamp(-1 + 1e-6, 1 - 1e-6)
            target = torch.cos(torch.acos(cosine) + 0.2)
            return 16 * torch.where(F.one_hot(y, 4).bool(), target, cosine)

    return train(ArcFace(), lambda model, x, y: F.cross_entropy(model(x, y), y), (inputs(), labels()))


@healthy()
def uncertainty_weighted_tasks() -> smokestep.Training:
    class TwoTasks(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.cls, self.reg = nn.Linear(6, 16), nn.Linear(16, 4), nn.Linear(16, 1)
            self.log_vars = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            h = torch.relu(self.trunk(x))
            return self.cls(h), self.reg(h).squeeze(1)

    def loss_of(model, x, y, z):
        logits, value = model(x)
        losses = torch.stack([F.cross_entropy(logits, y), F.mse_loss(value, z)])
        return (torch.exp(-model.log_vars) * losses + model.log_vars).sum()

    return train(TwoTasks(), loss_of, (inputs(), labels(), torch.randn(12)))


@healthy()
def negative_log_likelihood_gathered_by_hand() -> smokestep.Training:
    def loss_of(model, x, y):
        return -F.log_softmax(model(x), dim=1).gather(1, y[:, None]).mean()

    return train(mlp(4), loss_of, (inputs(), labels()))


@healthy()
def non_negative_output_for_non_negative_targets() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1), nn.Softplus())
    return train(model, lambda m, x, y: F.mse_loss(m(x).squeeze(1), y), (inputs(), torch.rand(12) * 4))
