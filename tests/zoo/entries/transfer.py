"""Transfer: part of the network stands still on purpose, is swapped for an adapter, or teaches."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

SUBSET = "only a chosen subset goes into the optimizer although the rest still requires gradient: true, and meant"


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 16)

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        return F.relu(self.fc(x.mean(dim=(2, 3))))


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.backbone(x))


def pretrained() -> Classifier:
    """As if loaded from a checkpoint: its running statistics have seen data."""
    model = Classifier()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(16, 3, 6, 6) * 2 + 1)
    return model


def images(n: int = 8):
    return torch.randn(n, 3, 6, 6), torch.randint(0, 4, (n,))


@healthy()
def frozen_backbone_with_batch_norm_in_eval() -> smokestep.Training:
    model = pretrained()
    for p in model.backbone.parameters():
        p.requires_grad = False
    optimizer = torch.optim.Adam(model.head.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        model.train()
        model.backbone.eval()
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, images())


@healthy()
def frozen_backbone_listed_in_the_optimizer() -> smokestep.Training:
    model = pretrained()
    model.backbone.requires_grad_(False).eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, images())


class LinearProbe(nn.Module):
    """Never lets the backbone into train mode, whatever the loop calls."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone.eval()
        self.backbone.requires_grad_(False)
        self.head = nn.Linear(16, 4)

    def train(self, mode: bool = True):
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)


@healthy()
def linear_probe_under_no_grad() -> smokestep.Training:
    model = LinearProbe(pretrained().backbone)
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)

    def step(batch):
        x, y = batch
        model.train()
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, images())


@healthy(suspicions={"unoptimized-parameter": SUBSET})
def linear_probe_by_optimizer_subset() -> smokestep.Training:
    encoder = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    model = nn.Sequential(encoder, nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model[1].parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 10), torch.randint(0, 3, (8,))))


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, rank: int = 2, alpha: float = 4.0, freeze: bool = True):
        super().__init__()
        self.base = base
        if freeze:
            self.base.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))  # so A gets no gradient at step 1
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.lora_A), self.lora_B) * self.scale


def causal(scores):
    return scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -torch.inf)


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 16)
        self.query = nn.Linear(16, 16)
        self.value = nn.Linear(16, 16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 12)

    def forward(self, ids):
        h = self.embed(ids)
        scores = causal(self.query(h) @ h.transpose(1, 2) / 4)
        h = self.norm(h + scores.softmax(-1) @ self.value(h))
        return self.head(h)


def next_token_loss(model, ids):
    logits = model(ids[:, :-1])
    return F.cross_entropy(logits.reshape(-1, logits.size(-1)), ids[:, 1:].reshape(-1))


@healthy()
def lora_with_frozen_base() -> smokestep.Training:
    model = Mixer().requires_grad_(False)
    model.query = LoRALinear(model.query)
    model.value = LoRALinear(model.value)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)

    def step(ids):
        optimizer.zero_grad()
        loss = next_token_loss(model, ids)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 12, (4, 9)))


@healthy(suspicions={"unoptimized-parameter": SUBSET})
def lora_picked_by_name() -> smokestep.Training:
    model = Mixer()
    model.query = LoRALinear(model.query, freeze=False)
    model.value = LoRALinear(model.value, freeze=False)
    lora_params = [p for n, p in model.named_parameters() if "lora_" in n]
    optimizer = torch.optim.AdamW(lora_params, lr=1e-3)

    def step(ids):
        model.zero_grad()
        loss = next_token_loss(model, ids)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 12, (4, 9)))


@healthy()
def bias_only_fine_tuning() -> smokestep.Training:
    model = Mixer()
    for name, p in model.named_parameters():
        p.requires_grad = name.endswith("bias")
    optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2)

    def step(ids):
        loss = next_token_loss(model, ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 12, (4, 9)))


class SoftPrompt(nn.Module):
    def __init__(self, model: Mixer, length: int = 3):
        super().__init__()
        self.model = model.requires_grad_(False)
        self.prompt = nn.Parameter(0.1 * torch.randn(length, 16))

    def forward(self, ids):
        tokens = self.model.embed(ids)
        h = torch.cat([self.prompt.expand(len(ids), -1, -1), tokens], dim=1)
        scores = causal(self.model.query(h) @ h.transpose(1, 2) / 4)
        h = self.model.norm(h + scores.softmax(-1) @ self.model.value(h))
        return self.model.head(h[:, self.prompt.size(0) :])


@healthy()
def soft_prompt_tuning() -> smokestep.Training:
    model = SoftPrompt(Mixer())
    optimizer = torch.optim.Adam([model.prompt], lr=0.1)

    def step(ids):
        optimizer.zero_grad()
        loss = next_token_loss(model, ids)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 12, (4, 9)))


@healthy()
def gradual_unfreezing() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    model.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    schedule, state = [4, 2, 0], {"epoch": 0}

    def step(batch):
        x, y = batch
        if state["epoch"] < len(schedule):
            model[schedule[state["epoch"]]].requires_grad_(True)
        state["epoch"] += 1
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 10), torch.randint(0, 3, (8,))))


@healthy(suspicions={"unoptimized-parameter": SUBSET})
def perceptual_loss_network_not_frozen() -> smokestep.Training:
    net = nn.Conv2d(3, 3, 3, padding=1)
    vgg = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        low, high = batch
        optimizer.zero_grad()
        restored = net(low)
        loss = F.l1_loss(restored, high) + 0.1 * F.mse_loss(vgg(restored), vgg(high).detach())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)))


@healthy()
def knowledge_distillation() -> smokestep.Training:
    teacher = pretrained().eval()
    student = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    temperature = 4.0

    def step(batch):
        x, y = batch
        with torch.no_grad():
            teacher_logits = teacher(x)
        logits = student(x)
        soft = F.kl_div(
            F.log_softmax(logits / temperature, dim=1),
            F.softmax(teacher_logits / temperature, dim=1),
            reduction="batchmean",
        )
        loss = 0.7 * temperature**2 * soft + 0.3 * F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, images())


@healthy()
def mean_teacher_with_batch_norm() -> smokestep.Training:
    student = Classifier()
    teacher = copy.deepcopy(student)
    for p in teacher.parameters():
        p.detach_()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9)

    def step(batch):
        x, y = batch
        student.train()
        teacher.train()
        logits = student(x + 0.1 * torch.randn_like(x))
        with torch.no_grad():
            targets = teacher(x + 0.1 * torch.randn_like(x)).softmax(1)
        loss = F.cross_entropy(logits, y) + 0.5 * F.mse_loss(logits.softmax(1), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for ema, p in zip(teacher.parameters(), student.parameters()):
            ema.data.mul_(0.99).add_(p.data, alpha=0.01)
        return loss

    return smokestep.Training(step, images())


class Adapter(nn.Module):
    """Bottleneck adapter behind a gate that starts at zero: its layers move only from step 2 on."""

    def __init__(self, dim: int = 16, bottleneck: int = 4):
        super().__init__()
        self.down = nn.Linear(dim, bottleneck)
        self.up = nn.Linear(bottleneck, dim)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.gate * self.up(F.gelu(self.down(x)))


@healthy()
def adapter_behind_a_zero_gate() -> smokestep.Training:
    backbone = pretrained().backbone.eval().requires_grad_(False)
    model = nn.Sequential(backbone, Adapter(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, images())
