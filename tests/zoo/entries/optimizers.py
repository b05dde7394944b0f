"""Optimizers and schedules: several optimizers, parameter groups, warm-ups, two-pass updates, averages of weights."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import smokestep

from ..registry import healthy


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 16), nn.GELU())
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(-1)


def regression_batch(n: int = 16):
    x = torch.randn(n, 5)
    return x, x.sum(dim=1) + 0.1 * torch.randn(n)


def train_with(scheduler_of, lr: float = 1e-2, optimizer_of=torch.optim.AdamW) -> smokestep.Training:
    model = Net()
    optimizer = optimizer_of(model.parameters(), lr=lr)
    scheduler = scheduler_of(optimizer)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss

    return smokestep.Training(step, regression_batch())


@healthy()
def one_cycle() -> smokestep.Training:
    return train_with(lambda optimizer: OneCycleLR(optimizer, max_lr=1e-2, total_steps=50))


@healthy()
def warm_up_from_zero() -> smokestep.Training:
    return train_with(lambda optimizer: LambdaLR(optimizer, lambda i: min(1.0, i / 10)))


@healthy()
def warm_up_then_cosine() -> smokestep.Training:
    def schedule(optimizer):
        warm = LinearLR(optimizer, start_factor=0.1, total_iters=2)
        return SequentialLR(optimizer, [warm, CosineAnnealingLR(optimizer, T_max=20)], milestones=[2])

    return train_with(schedule)


@healthy()
def reduce_on_plateau() -> smokestep.Training:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9, nesterov=True)
    scheduler = ReduceLROnPlateau(optimizer, patience=2)
    validation = regression_batch()

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(x), y)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            val_loss = F.mse_loss(model(validation[0]), validation[1])
        scheduler.step(val_loss)
        return loss

    return smokestep.Training(step, regression_batch())


@healthy()
def two_optimizers_two_schedulers() -> smokestep.Training:
    model = Net()
    body_optimizer = torch.optim.AdamW(model.body.parameters(), lr=1e-3)
    head_optimizer = torch.optim.SGD(model.head.parameters(), lr=1e-2)
    body_scheduler = StepLR(body_optimizer, step_size=1, gamma=0.9)
    head_scheduler = ExponentialLR(head_optimizer, gamma=0.99)

    def step(batch):
        x, y = batch
        body_optimizer.zero_grad()
        head_optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        body_optimizer.step()
        head_optimizer.step()
        body_scheduler.step()
        head_scheduler.step()
        return loss

    return smokestep.Training(step, regression_batch())


@healthy()
def no_decay_groups() -> smokestep.Training:
    model = Net()
    decay = [p for n, p in model.named_parameters() if p.ndim > 1]
    no_decay = [p for n, p in model.named_parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.95)
    )

    def step(batch):
        x, y = batch
        loss = F.huber_loss(model(x), y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return {"loss": loss.detach(), "norm": norm}

    return smokestep.Training(step, regression_batch())


@healthy()
def layer_wise_rates() -> smokestep.Training:
    model = Net()
    layers = [model.body[0], model.body[2], model.body[3], model.head]
    optimizer = torch.optim.Adam(
        [{"params": layer.parameters(), "lr": 1e-3 * 0.8 ** (len(layers) - i)} for i, layer in enumerate(layers)]
    )

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.l1_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, regression_batch())


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimisation: climb to the worst point nearby, take the gradient there, come back, descend."""

    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        super().__init__(params, {"rho": rho, **kwargs})
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self):
        norm = torch.norm(torch.stack([p.grad.norm(p=2) for g in self.param_groups for p in g["params"]]), p=2)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["old_p"] = p.data.clone()
                p.add_(p.grad * 0.05 / (norm + 1e-12))
        self.zero_grad()

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.data = self.state[p]["old_p"]
        self.base_optimizer.step()
        self.zero_grad()


@healthy()
def sharpness_aware_two_passes() -> smokestep.Training:
    model = Net()
    optimizer = SAM(model.parameters(), torch.optim.SGD, lr=0.05, momentum=0.9)

    def step(batch):
        x, y = batch
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.first_step()
        F.mse_loss(model(x), y).backward()
        optimizer.second_step()
        return loss

    return smokestep.Training(step, regression_batch())


@healthy()
def weight_average_swa_utils() -> smokestep.Training:
    model = Net()
    ema_model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        ema_model.update_parameters(model)
        return loss

    return smokestep.Training(step, regression_batch())


@healthy()
def weight_average_with_evaluation() -> smokestep.Training:
    model = Net()
    ema = copy.deepcopy(model)
    for p in ema.parameters():
        p.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    validation = regression_batch()

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for ema_p, p in zip(ema.parameters(), model.parameters()):
                ema_p.lerp_(p, 0.01)
            ema.eval()
            val = F.mse_loss(ema(validation[0]), validation[1]).item()
        return loss.item(), val

    return smokestep.Training(step, regression_batch())


@healthy()
def optimizer_in_backward_hooks() -> smokestep.Training:
    model = Net()
    optimizers = {p: torch.optim.SGD([p], lr=1e-2) for p in model.parameters()}

    def update(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(update)

    def step(batch):
        x, y = batch
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    return smokestep.Training(step, regression_batch())


@healthy()
def several_backwards_with_retained_graph() -> smokestep.Training:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        prediction = model(x)
        data_loss = F.mse_loss(prediction, y)
        data_loss.backward(retain_graph=True)
        smooth_loss = 0.01 * prediction.diff().pow(2).mean()
        smooth_loss.backward()
        optimizer.step()
        return data_loss + smooth_loss

    return smokestep.Training(step, regression_batch())


@healthy()
def gradient_noise() -> smokestep.Training:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, weight_decay=1e-4)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        for p in model.parameters():
            p.grad += 0.01 * torch.randn_like(p.grad)
        optimizer.step()
        return loss

    return smokestep.Training(step, regression_batch())


@healthy()
def gradient_surgery_between_two_tasks() -> smokestep.Training:
    trunk = nn.Sequential(nn.Linear(5, 16), nn.Tanh())
    heads = nn.ModuleList([nn.Linear(16, 1), nn.Linear(16, 1)])
    optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=1e-3)
    shared = list(trunk.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        hidden = trunk(x)
        losses = [F.mse_loss(heads[0](hidden).squeeze(1), y), F.mse_loss(heads[1](hidden).squeeze(1), -y.abs())]
        g1 = torch.autograd.grad(losses[0], shared, retain_graph=True)
        g2 = torch.autograd.grad(losses[1], shared, retain_graph=True)
        sum(losses).backward()
        dot = sum((a * b).sum() for a, b in zip(g1, g2))
        if dot < 0:
            norm = sum((b * b).sum() for b in g2)
            for p, a, b in zip(shared, g1, g2):
                p.grad = a - dot / norm * b + b
        optimizer.step()
        return sum(losses)

    return smokestep.Training(step, regression_batch())


@healthy()
def sparse_embedding_with_sparse_adam() -> smokestep.Training:
    embedding = nn.Embedding(50, 8, sparse=True)
    head = nn.Linear(8, 2)
    sparse_optimizer = torch.optim.SparseAdam(embedding.parameters(), lr=1e-2)
    dense_optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)

    def step(batch):
        ids, y = batch
        sparse_optimizer.zero_grad()
        dense_optimizer.zero_grad()
        loss = F.cross_entropy(head(embedding(ids).mean(dim=1)), y)
        loss.backward()
        sparse_optimizer.step()
        dense_optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 50, (8, 5)), torch.randint(0, 2, (8,))))
