"""What experiments could take for a fault: estimates instead of gradients, compiled and fused steps, slow
beginnings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def batch(n: int = 12):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


class Between(nn.Module):
    """A network that applies one function to what is between its two layers."""

    def __init__(self, function):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 3)
        self.function = function

    def forward(self, x):
        return self.second(self.function(self.first(x)))


def classify(model: nn.Module, optimizer=None) -> smokestep.Training:
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


# ── a backward that is no derivative, on purpose ───────────────────────────────────────────────────────────────────
class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, step):
        return torch.round(x / step) * step

    @staticmethod
    def backward(ctx, grad):
        return grad, None


@healthy()
def rounding_with_a_gradient_straight_through() -> smokestep.Training:
    return classify(Between(lambda h: Rounded.apply(h, 0.25)))


class LearnedStep(torch.autograd.Function):
    """Learned step size quantisation (LSQ): the gradient of the step is an estimate."""

    @staticmethod
    def forward(ctx, x, step):
        ctx.save_for_backward(x, step)
        return (x / step).round().clamp(-4, 3) * step

    @staticmethod
    def backward(ctx, grad):
        x, step = ctx.saved_tensors
        scaled = x / step
        inside = (scaled > -4) & (scaled < 3)
        slope = torch.where(inside, scaled.round() - scaled, scaled.round().clamp(-4, 3))
        return grad * inside, (grad * slope).sum().view_as(step)


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        return LearnedStep.apply(x, self.step)


@healthy()
def learned_step_size_quantisation() -> smokestep.Training:
    return classify(Between(Quantised()))


class Clamped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(-0.2, 0.2)

    @staticmethod
    def backward(ctx, grad):
        return grad


@healthy()
def clamp_that_lets_gradient_through() -> smokestep.Training:
    return classify(Between(Clamped.apply))


class LowerBound(torch.autograd.Function):
    """As in learned image compression: gradient passes where it would push the value back into bounds."""

    @staticmethod
    def forward(ctx, x, bound):
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ((x >= ctx.bound) | (grad < 0)), None


@healthy()
def lower_bound_with_a_one_sided_gradient() -> smokestep.Training:
    return classify(Between(lambda h: LowerBound.apply(h, 0.1)))


class Spike(torch.autograd.Function):
    """A neuron that fires or not, with the derivative of a fast sigmoid in its place."""

    @staticmethod
    def forward(ctx, potential):
        ctx.save_for_backward(potential)
        return (potential > 0).to(potential.dtype)

    @staticmethod
    def backward(ctx, grad):
        (potential,) = ctx.saved_tensors
        return grad / (10 * potential.abs() + 1) ** 2


@healthy()
def spiking_neurons_with_a_surrogate_gradient() -> smokestep.Training:
    return classify(Between(Spike.apply))


class ClippedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(-1e-3, 1e-3)


@healthy()
def gradient_clipped_between_two_layers() -> smokestep.Training:
    return classify(Between(ClippedGradient.apply))


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.scale, None


@healthy()
def gradient_scaled_down_for_an_encoder() -> smokestep.Training:
    return classify(Between(lambda h: torch.tanh(Scaled.apply(h, 0.1))))


class AuxiliaryLoss(torch.autograd.Function):
    """As in mixtures of experts: the scores are handed on, and a second loss comes in by their backward."""

    @staticmethod
    def forward(ctx, scores, balance):
        ctx.save_for_backward(balance)
        return scores

    @staticmethod
    def backward(ctx, grad):
        (balance,) = ctx.saved_tensors
        return grad, torch.ones_like(balance)


@healthy()
def second_loss_attached_by_its_backward() -> smokestep.Training:
    return classify(Between(lambda h: AuxiliaryLoss.apply(h, 0.01 * h.pow(2).mean())))


# ── a backward that is exact ───────────────────────────────────────────────────────────────────────────────────────
class Mish(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x * torch.tanh(F.softplus(x))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        t = torch.tanh(F.softplus(x))
        return grad * (t + x * torch.sigmoid(x) * (1 - t * t))


@healthy()
def activation_with_its_own_exact_backward() -> smokestep.Training:
    return classify(Between(Mish.apply))


class Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gain):
        size = (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
        ctx.save_for_backward(x, gain, size)
        return x * size * gain

    @staticmethod
    def backward(ctx, grad):
        x, gain, size = ctx.saved_tensors
        inner = grad * gain
        along = (inner * x).mean(-1, keepdim=True)
        return size * inner - x * size**3 * along, (grad * x * size).sum(0)


class RootMeanSquareNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(16))

    def forward(self, x):
        return Normalised.apply(x, self.gain)


@healthy()
def normalisation_with_its_own_exact_backward() -> smokestep.Training:
    return classify(Between(RootMeanSquareNorm()))


class Noisy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        noise = torch.rand_like(x) + 0.5
        ctx.save_for_backward(noise)
        return x * noise

    @staticmethod
    def backward(ctx, grad):
        (noise,) = ctx.saved_tensors
        return grad * noise


@healthy()
def multiplicative_noise_with_its_own_backward() -> smokestep.Training:
    return classify(Between(Noisy.apply))


class SinglePrecision(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sin(x.float()).type_as(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return (grad.float() * torch.cos(x.float())).type_as(x)


@healthy()
def function_that_computes_in_single_precision() -> smokestep.Training:
    return classify(Between(SinglePrecision.apply))


# ── compiled, fused ────────────────────────────────────────────────────────────────────────────────────────────────
@healthy()
def fused_optimizer() -> smokestep.Training:
    model = Between(torch.tanh)
    return classify(model, torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True))


@healthy()
def optimizer_over_lists_of_tensors() -> smokestep.Training:
    model = nn.Sequential(Between(F.gelu), nn.Dropout(0.1))
    return classify(model, torch.optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9, foreach=True))


@healthy()
def compiled_with_dropout() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    compiled = torch.compile(model, backend="aot_eager")
    return classify(compiled)


@healthy()
def compiled_in_place_with_batch_norm() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    model.compile(backend="aot_eager")
    return classify(model)


@healthy()
def compiled_under_automatic_casting() -> smokestep.Training:
    model = torch.compile(Between(F.silu), backend="aot_eager")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


# ── learning, and looking as if not ────────────────────────────────────────────────────────────────────────────────
@healthy()
def rate_that_warms_up_by_hand() -> smokestep.Training:
    model = Between(torch.relu)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    calls = 0

    def step(data):
        nonlocal calls
        calls += 1
        for group in optimizer.param_groups:
            group["lr"] = 1e-6 * calls
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def classes_that_contradict_each_other() -> smokestep.Training:
    model = Between(torch.relu)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    x = torch.randn(4, 8).repeat(4, 1)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, torch.randint(0, 3, (16,))))


@healthy()
def one_class_alone() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 8), torch.ones(8)))


@healthy()
def regression_on_a_bottleneck_of_one() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 1), nn.Linear(1, 8))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(x):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 8))


@healthy()
def decay_as_strong_as_the_gradient() -> smokestep.Training:
    model = Between(torch.tanh)
    return classify(model, torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.05))
