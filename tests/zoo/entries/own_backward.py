"""Backward passes written by hand: some are the derivative, some deliberately are not."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

import smokestep

from ..registry import healthy


def classify(model: nn.Module, lr: float = 1e-2, n: int = 10) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(n, 8), torch.randint(0, 3, (n,))), model=model)


class Applied(nn.Module):
    """A layer that applies a custom function, with arguments that are no tensors behind it."""

    def __init__(self, function, *arguments):
        super().__init__()
        self.function, self.arguments = function, arguments

    def forward(self, x):
        return self.function.apply(x, *self.arguments)


def between(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), layer, nn.Linear(16, 3))


class MemorySavingSwish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad * (s * (1 + x * (1 - s)))


@healthy()
def swish_with_its_derivative_by_hand() -> smokestep.Training:
    return classify(between(Applied(MemorySavingSwish)))


class AffineByHand(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.T + bias

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        return grad @ weight, grad.T @ x, grad.sum(0)


class HandMadeLinear(nn.Module):
    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(n_out, n_in) * 0.3), nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return AffineByHand.apply(x, self.weight, self.bias)


@healthy()
def linear_layer_with_all_three_derivatives_by_hand() -> smokestep.Training:
    return classify(nn.Sequential(HandMadeLinear(8, 16), nn.ReLU(), HandMadeLinear(16, 3)))


class Sparsemax(torch.autograd.Function):
    """The projection onto the simplex: exact zeros forward, the mean over the support taken off backward."""

    @staticmethod
    def forward(ctx, z):
        ordered = z.sort(dim=-1, descending=True).values
        total = ordered.cumsum(-1) - 1
        k = torch.arange(1, z.shape[-1] + 1)
        size = (k * ordered > total).sum(-1, keepdim=True)
        p = (z - total.gather(-1, size - 1) / size).clamp(min=0)
        ctx.save_for_backward(p > 0)
        return p

    @staticmethod
    def backward(ctx, grad):
        (support,) = ctx.saved_tensors
        mean = (grad * support).sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
        return (grad - mean) * support


class SparseGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.value, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(x + Sparsemax.apply(self.gate(x)) * self.value(x))


@healthy()
def sparsemax_with_its_derivative_by_hand() -> smokestep.Training:
    return classify(SparseGate())


class ReversibleBlock(torch.autograd.Function):
    """Keeps no activation of its inside: the backward rebuilds the inputs from the outputs."""

    @staticmethod
    def forward(ctx, a, b, f, g, *parameters):
        with torch.no_grad():
            y1 = a + f(b)
            y2 = b + g(y1)
        ctx.f, ctx.g, ctx.parameters = f, g, parameters
        ctx.save_for_backward(y1, y2)
        return y1, y2

    @staticmethod
    def backward(ctx, d1, d2):
        y1, y2 = ctx.saved_tensors
        half = len(ctx.parameters) // 2
        with torch.enable_grad():
            y1 = y1.detach().requires_grad_()
            d_y1, *d_g = torch.autograd.grad(gy := ctx.g(y1), [y1, *ctx.parameters[half:]], d2)
            d1 = d1 + d_y1
            b = (y2 - gy).detach().requires_grad_()
            d_b, *d_f = torch.autograd.grad(ctx.f(b), [b, *ctx.parameters[:half]], d1)
        return d1, d2 + d_b, None, None, *d_f, *d_g


class Reversible(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.g = (nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4)) for _ in range(2))
        self.first, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        a, b = self.first(x).chunk(2, dim=-1)
        out = ReversibleBlock.apply(a, b, self.f, self.g, *self.f.parameters(), *self.g.parameters())
        return self.head(torch.cat(out, dim=-1))


@healthy()
def reversible_block_that_rebuilds_its_inputs() -> smokestep.Training:
    return classify(Reversible())


class SpikeSurrogate(torch.autograd.Function):
    """A step forward, the slope of a fast sigmoid backward: deliberately not the derivative."""

    @staticmethod
    def forward(ctx, membrane):
        ctx.save_for_backward(membrane)
        return (membrane > 0).float()

    @staticmethod
    def backward(ctx, grad):
        (membrane,) = ctx.saved_tensors
        return grad / (1 + 10 * membrane.abs()) ** 2


class Spiking(nn.Module):
    def __init__(self, steps: int = 4):
        super().__init__()
        self.fc, self.out, self.steps = nn.Linear(8, 16), nn.Linear(16, 3), steps

    def forward(self, x):
        current, membrane, count = 3 * self.fc(x), 0.0, 0.0
        for _ in range(self.steps):
            membrane = 0.9 * membrane + current
            spike = SpikeSurrogate.apply(membrane - 1)
            membrane = membrane - spike.detach()
            count = count + spike
        return self.out(count / self.steps)


@healthy()
def spiking_neurons_with_a_surrogate_slope() -> smokestep.Training:
    return classify(Spiking())


class Binarise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


@healthy()
def signs_passed_straight_through() -> smokestep.Training:
    return classify(between(nn.Sequential(nn.BatchNorm1d(16), Applied(Binarise))))


class ScaledGradient(torch.autograd.Function):
    """Identity forward, the gradient times a number backward."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


@healthy()
def gradient_into_the_trunk_scaled_down() -> smokestep.Training:
    return classify(between(Applied(ScaledGradient, 0.1)))


@healthy()
def gradient_reversed_between_trunk_and_adversary() -> smokestep.Training:
    trunk, task = nn.Sequential(nn.Linear(8, 16), nn.ReLU()), nn.Linear(16, 3)
    adversary = nn.Sequential(Applied(ScaledGradient, -0.5), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.Adam([*trunk.parameters(), *task.parameters(), *adversary.parameters()], lr=1e-3)

    def step(batch):
        x, y, group = batch
        h = trunk(x)
        loss = F.cross_entropy(task(h), y) + F.cross_entropy(adversary(h), group)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 8), torch.randint(0, 3, (10,)), torch.arange(10) % 2))


class ClampedBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, limit):
        ctx.limit = limit
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(-ctx.limit, ctx.limit), None


@healthy()
def gradient_clamped_in_the_middle_of_the_network() -> smokestep.Training:
    return classify(between(nn.Sequential(nn.Tanh(), Applied(ClampedBackward, 0.01))))


class ClampWithGradient(torch.autograd.Function):
    """Clamps forward; backward lets through what leads back inside."""

    @staticmethod
    def forward(ctx, x, low, high):
        ctx.low, ctx.high = low, high
        ctx.save_for_backward(x)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (grad * (x - x.clamp(ctx.low, ctx.high)) >= 0), None, None


@healthy()
def clamp_that_lets_the_way_back_through() -> smokestep.Training:
    return classify(between(Applied(ClampWithGradient, -0.5, 0.5)))


@healthy()
def gradients_scaled_by_hooks_on_tensors_and_parameters() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    model[0].weight.register_hook(lambda grad: grad * 0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        h = model[:2](x)
        h.register_hook(lambda grad: grad / (grad.norm() + 1e-8))
        loss = F.cross_entropy(model[2](h), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 8), torch.randint(0, 3, (10,))))


class Checkpointed(nn.Module):
    """Recomputes its blocks in the backward, while training only; dropout must be the same both times."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 8)) for _ in range(3)]
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for block in self.blocks:
            x = x + (checkpoint(block, x, use_reentrant=False) if self.training else block(x))
        return self.head(x)


@healthy()
def blocks_recomputed_in_training_only() -> smokestep.Training:
    return classify(Checkpointed())


class HardSample(nn.Module):
    """A hard one-hot choice with the gradient of the soft one."""

    def __init__(self, codes: int = 5):
        super().__init__()
        self.score, self.codes, self.head = nn.Linear(8, codes), nn.Parameter(torch.randn(codes, 8)), nn.Linear(8, 3)

    def forward(self, x):
        soft = self.score(x).softmax(-1)
        hard = F.one_hot(soft.argmax(-1), soft.shape[-1]).float()
        return self.head((hard - soft.detach() + soft) @ self.codes)


@healthy()
def hard_choice_with_the_gradient_of_the_soft_one() -> smokestep.Training:
    return classify(HardSample())


class StableNorm(nn.Module):
    """Divides by a norm that is taken as a constant: the gradient leaves a part out on purpose."""

    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        h = self.fc(x)
        return self.head(h / (h.detach().norm(dim=-1, keepdim=True) / math.sqrt(16) + 1e-6))


@healthy()
def norm_taken_as_a_constant() -> smokestep.Training:
    return classify(StableNorm())
