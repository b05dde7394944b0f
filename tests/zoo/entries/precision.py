"""Number formats: mixed and low precision, double, complex, quantised, with the scaling that makes them work."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))


def batch(n: int = 12):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


@healthy()
def autocast_bfloat16() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(x)
            loss = F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def grad_scaler_with_unscale_and_clip() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)

    def step(data):
        x, y = data
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def grad_scaler_that_skips_its_first_update() -> smokestep.Training:
    """The scale starts too high on purpose: the first steps overflow, are skipped, and halve it."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**17, backoff_factor=0.125)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def half_precision_with_master_weights_and_loss_scale() -> smokestep.Training:
    model = mlp().half()
    master = [p.detach().clone().float().requires_grad_() for p in model.parameters()]
    optimizer = torch.optim.SGD(master, lr=0.05)
    loss_scale = 128.0

    def step(data):
        x, y = data
        model.zero_grad()
        loss = F.cross_entropy(model(x.half()).float(), y)
        (loss * loss_scale).backward()
        for m, p in zip(master, model.parameters()):
            m.grad = p.grad.detach().float() / loss_scale
        optimizer.step()
        with torch.no_grad():
            for m, p in zip(master, model.parameters()):
                p.copy_(m)
        return loss

    return smokestep.Training(step, batch())


@healthy()
def pure_bfloat16_with_a_large_rate() -> smokestep.Training:
    model = mlp().to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(torch.bfloat16)).float(), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class StochasticRoundingSGD(torch.optim.Optimizer):
    """Adds uniform noise below the last kept bit before truncating, so that small updates survive on average."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                exact = p.float() - group["lr"] * p.grad.float()
                noise = torch.randint_like(exact, 0, 1 << 16, dtype=torch.int32)
                bits = (exact.view(torch.int32) + noise) & -65536
                p.copy_(bits.view(torch.float32).to(torch.bfloat16))


@healthy()
def pure_bfloat16_with_stochastic_rounding() -> smokestep.Training:
    model = mlp().bfloat16()
    optimizer = StochasticRoundingSGD(model.parameters(), lr=1e-2)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.bfloat16()), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def double_precision() -> smokestep.Training:
    model = mlp().double()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.double()), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class ComplexLinear(nn.Module):
    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.weight = nn.Parameter(0.3 * torch.randn(n_out, n_in, dtype=torch.cfloat))
        self.bias = nn.Parameter(torch.zeros(n_out, dtype=torch.cfloat))

    def forward(self, z):
        return F.linear(z, self.weight, self.bias)


class ComplexNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = ComplexLinear(5, 12), ComplexLinear(12, 3)

    def forward(self, signal):
        z = self.first(torch.fft.rfft(signal))
        z = torch.complex(F.relu(z.real), F.relu(z.imag))
        return self.second(z).abs()


@healthy()
def complex_valued_network() -> smokestep.Training:
    model = ComplexNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


def fake_quantize(x, scale, bits: int = 8):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    q = (x / scale).round().clamp(low, high) * scale
    return x + (q - x).detach()


class QuantLinear(nn.Module):
    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.weight = nn.Parameter(0.3 * torch.randn(n_out, n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.register_buffer("range", torch.tensor(1.0))

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.range.mul_(0.9).add_(0.1 * x.abs().max())
        scale = self.weight.detach().abs().max() / 127
        return F.linear(fake_quantize(x, self.range / 127), fake_quantize(self.weight, scale), self.bias)


@healthy()
def quantisation_aware_straight_through() -> smokestep.Training:
    model = nn.Sequential(QuantLinear(8, 16), nn.ReLU(), QuantLinear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class LSQ(nn.Module):
    """Learned step size: the scale itself gets gradient through the rounding, by the straight-through trick."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.step = nn.Parameter(torch.tensor(0.05))

    def forward(self, x):
        v = (self.linear.weight / self.step).clamp(-8, 7)
        v = v + (v.round() - v).detach()
        return F.linear(x, v * self.step, self.linear.bias)


@healthy()
def learned_quantisation_step() -> smokestep.Training:
    model = nn.Sequential(LSQ(8, 16), nn.GELU(), LSQ(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def mixed_devices_of_precision_norm_in_float32() -> smokestep.Training:
    """Linear layers in bfloat16, normalisation kept in float32, as large models keep it."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(8)
            self.fc = nn.Linear(8, 3, dtype=torch.bfloat16)

        def forward(self, x):
            return self.fc(self.norm(x.float()).bfloat16()).float()

    model = Block()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def step(data):
        x, y = data
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())
