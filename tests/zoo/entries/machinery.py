"""The framework's machinery: custom functions, transforms, checkpointing, compilation, parametrizations, hooks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, grad_and_value, stack_module_state, vmap
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import smokestep

from ..registry import healthy


def batch(n: int = 12):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))


def classify(model: nn.Module, lr: float = 1e-2) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad_output * (s * (1 + x * (1 - s)))


swish = Swish.apply


class SignSTE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x.abs() <= 1).to(grad_output.dtype)


class SwishNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.b(Swish.apply(self.a(x)))


class CapturedSwishNet(SwishNet):
    def forward(self, x):
        return self.b(swish(self.a(x)))


class BinaryLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, SignSTE.apply(self.weight), self.bias)


@healthy()
def custom_autograd_function() -> smokestep.Training:
    return classify(SwishNet())


@healthy()
def custom_autograd_function_captured_at_module_level() -> smokestep.Training:
    return classify(CapturedSwishNet())


@healthy()
def binary_weights_with_own_straight_through() -> smokestep.Training:
    return classify(nn.Sequential(BinaryLinear(8, 16), nn.BatchNorm1d(16), nn.Hardtanh(), BinaryLinear(16, 3)))


@healthy()
def func_grad_and_functional_call() -> smokestep.Training:
    model = mlp()
    params = {name: p.detach().clone() for name, p in model.named_parameters()}

    def loss_fn(params, x, y):
        return F.cross_entropy(functional_call(model, params, (x,)), y)

    def step(data):
        nonlocal params
        x, y = data
        grads, loss = grad_and_value(loss_fn)(params, x, y)
        params = {name: p - 0.1 * grads[name] for name, p in params.items()}
        return loss

    return smokestep.Training(step, batch())


@healthy()
def per_sample_gradients_with_vmap() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loss_of(params, x, y):
        return F.cross_entropy(functional_call(model, params, (x.unsqueeze(0),)), y.unsqueeze(0))

    def step(data):
        x, y = data
        params = {name: p.detach() for name, p in model.named_parameters()}
        per_sample = vmap(grad(loss_of), in_dims=(None, 0, 0))(params, x, y)
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in per_sample.values()]).norm(dim=0)
        scale = (1.0 / (norms + 1e-6)).clamp(max=1.0)
        optimizer.zero_grad()
        for name, p in model.named_parameters():
            clipped = torch.einsum("n,n...->...", scale, per_sample[name])
            p.grad = (clipped + 0.1 * torch.randn_like(p)) / len(x)
        optimizer.step()

    return smokestep.Training(step, batch())


@healthy()
def ensemble_with_stacked_parameters() -> smokestep.Training:
    members = [mlp() for _ in range(3)]
    params, buffers = stack_module_state(members)
    skeleton = mlp().to("meta")
    optimizer = torch.optim.Adam(params.values(), lr=1e-2)

    def step(data):
        x, y = data
        logits = vmap(lambda p, b: functional_call(skeleton, (p, b), (x,)))(params, buffers)
        loss = sum(F.cross_entropy(member, y) for member in logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class Checkpointed(nn.Module):
    def __init__(self, use_reentrant: bool):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.block1 = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.1))
        self.block2 = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        self.head = nn.Linear(16, 3)
        self.use_reentrant = use_reentrant

    def forward(self, x):
        x = self.stem(x)
        x = x + checkpoint(self.block1, x, use_reentrant=self.use_reentrant)
        x = x + checkpoint(self.block2, x, use_reentrant=self.use_reentrant)
        return self.head(x)


@healthy()
def gradient_checkpointing() -> smokestep.Training:
    return classify(Checkpointed(use_reentrant=False))


@healthy()
def gradient_checkpointing_reentrant() -> smokestep.Training:
    return classify(Checkpointed(use_reentrant=True))


@healthy()
def checkpoint_sequential_segments() -> smokestep.Training:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.head = (
                nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(4)]),
                nn.Linear(8, 3),
            )

        def forward(self, x):
            return self.head(checkpoint_sequential(self.layers, 2, x, use_reentrant=False))

    return classify(Net())


@healthy()
def compiled_eager_backend() -> smokestep.Training:
    return classify(torch.compile(mlp(), backend="eager"))


@healthy()
def compiled_aot_eager_backend() -> smokestep.Training:
    return classify(torch.compile(mlp(), backend="aot_eager"))


@healthy()
def compiled_step_function() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    @torch.compile(backend="eager")
    def loss_of(x, y):
        return F.cross_entropy(model(x), y)

    def step(data):
        optimizer.zero_grad()
        loss = loss_of(*data)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def spectral_norm_parametrization() -> smokestep.Training:
    norm = parametrizations.spectral_norm
    return classify(nn.Sequential(norm(nn.Linear(8, 16)), nn.LeakyReLU(), norm(nn.Linear(16, 3))))


@healthy()
def spectral_norm_hook() -> smokestep.Training:
    norm = nn.utils.spectral_norm
    return classify(nn.Sequential(norm(nn.Linear(8, 16)), nn.LeakyReLU(), norm(nn.Linear(16, 3))))


@healthy()
def weight_norm_parametrization() -> smokestep.Training:
    norm = parametrizations.weight_norm
    return classify(nn.Sequential(norm(nn.Linear(8, 16)), nn.ELU(), norm(nn.Linear(16, 3))))


@healthy()
def weight_norm_hook() -> smokestep.Training:
    norm = nn.utils.weight_norm
    return classify(nn.Sequential(norm(nn.Linear(8, 16)), nn.ELU(), norm(nn.Linear(16, 3))))


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).transpose(-1, -2)


@healthy()
def own_parametrization_and_orthogonal() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    parametrize.register_parametrization(model[0], "weight", Symmetric())
    parametrizations.orthogonal(model[2])
    return classify(model)


def gate(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.tanh(a) * torch.sigmoid(b)


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(8, 32)
        self.mid = torch.jit.script(nn.Sequential(nn.Linear(16, 16), nn.ReLU()))
        self.gate = torch.jit.script(gate)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        a, b = self.inp(x).chunk(2, dim=1)
        return self.out(self.mid(self.gate(a, b)))


@healthy()
def scripted_submodule() -> smokestep.Training:
    return classify(Scripted())


@healthy()
def traced_submodule() -> smokestep.Training:
    body = torch.jit.trace(nn.Sequential(nn.Linear(8, 16), nn.ReLU()), torch.randn(2, 8))
    return classify(nn.Sequential(body, nn.Linear(16, 3)))


@healthy()
def forward_hook_that_changes_the_output() -> smokestep.Training:
    model = mlp()
    activations = {}

    def scale(module, inputs, output):
        return output * 0.5

    def remember(module, inputs, output):
        activations["hidden"] = output.detach()

    model[0].register_forward_hook(scale)
    model[2].register_forward_hook(remember)
    model[2].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 0.01,))
    return classify(model)


@healthy()
def features_taken_by_a_hook_into_the_loss() -> smokestep.Training:
    model = mlp()
    features = []
    model[2].register_forward_hook(lambda module, inputs, output: features.append(output))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        x, y = data
        features.clear()
        logits = model(x)
        loss = F.cross_entropy(logits, y) + 1e-3 * features[0].pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def backward_hooks_scale_and_log() -> smokestep.Training:
    model = mlp()
    norms = []
    model[2].register_full_backward_hook(lambda m, gi, go: norms.append(go[0].norm().item()))
    model[4].register_full_backward_hook(lambda m, gi, go: tuple(None if g is None else g.clamp(-1, 1) for g in gi))
    model[0].weight.register_hook(lambda g: g * 2.0)
    return classify(model)


@healthy()
def pruned_with_masks() -> smokestep.Training:
    model = mlp()
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    prune.ln_structured(model[2], "weight", amount=0.25, n=2, dim=0)
    return classify(model)


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(0.3 * torch.randn(8, 8)) for _ in range(2)])
        self.scales = nn.ParameterDict({"a": nn.Parameter(torch.ones(8)), "b": nn.Parameter(torch.ones(8))})
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for w in self.weights:
            x = torch.tanh(x @ w)
        return self.head(x * self.scales["a"] + self.scales["b"])


@healthy()
def parameter_list_and_dict() -> smokestep.Training:
    return classify(Listed())


@healthy()
def lazy_modules() -> smokestep.Training:
    model = nn.Sequential(nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3))
    model(torch.randn(2, 8))  # materialises the parameters before the optimizer takes them
    return classify(model)


@healthy()
def parameter_free_but_for_the_head() -> smokestep.Training:
    return classify(
        nn.Sequential(nn.Unflatten(1, (2, 4)), nn.AvgPool1d(2), nn.Softsign(), nn.Flatten(), nn.Linear(4, 3))
    )


@healthy()
def weights_tied_by_transposition() -> smokestep.Training:
    weight = nn.Parameter(0.3 * torch.randn(8, 4))
    visible_bias = nn.Parameter(torch.zeros(8))
    optimizer = torch.optim.SGD([weight, visible_bias], lr=0.1)

    def step(x):
        code = torch.tanh(x @ weight)
        loss = F.mse_loss(code @ weight.t() + visible_bias, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(10, 8))
