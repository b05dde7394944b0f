"""Recording changes nothing: whatever a step calls, run plain and recorded it gives the same losses, the same tensors
and the same random numbers."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, jvp, stack_module_state
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

import smokestep
from smokestep.backends.torch import open_world
from smokestep.backends.torch.snapshot import same_bits

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def stepping(model: nn.Module, loss: Loss) -> Callable[[Any], torch.Tensor]:
    """An ordinary step on a model: clear, loss, backward, update."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Any) -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(model, *batch)
        value.backward()
        optimizer.step()
        return value

    return step


def outcome(build: Callable[[], tuple[nn.Module, Callable[[Any], Any]]], recorded: bool) -> list[torch.Tensor]:
    """Everything that three steps leave behind: losses, parameters and buffers, the state of the generator."""
    torch.manual_seed(0)
    model, step = build()
    batch = torch.randn(5, 3), torch.randn(5, 2)
    losses: list[Any] = []

    def kept(batch: Any) -> None:
        losses.append(step(batch))

    def left() -> list[torch.Tensor]:
        held = [each.detach().clone() for each in (*model.parameters(), *model.buffers())]
        return [*(each.detach() for each in losses if each is not None), *held, torch.get_rng_state()]

    if not recorded:
        for _ in range(3):
            kept(batch)
        return left()
    with open_world(lambda: smokestep.Training(kept, batch), seed=0, steps=3) as world:
        world._wants_more = lambda done: False
        world.recording()
        if error := world.raised():
            raise error
        return left()  # what is built outside of the function is put back at the end


def same(build: Callable[[], tuple[nn.Module, Callable[[Any], Any]]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, recorded = outcome(build, False), outcome(build, True)
    assert [str(each) for each in recorded] == [str(each) for each in plain]
    assert all(same_bits(one, other) for one, other in zip(plain, recorded, strict=True))


LOSSES: dict[str, Loss] = {}


def loss(function: Loss) -> Loss:
    LOSSES[function.__name__] = function
    return function


@loss
def plain(model, x, y):
    return F.mse_loss(model(x), y)


@loss
def reentrant_checkpoint(model, x, y):
    return F.mse_loss(checkpoint(model, x.clone().requires_grad_(), use_reentrant=True), y)


@loss
def checkpoint_with_dropout(model, x, y):
    return F.mse_loss(checkpoint(lambda x: F.dropout(model(x), 0.5), x, use_reentrant=False), y)


@loss
def selective_checkpoint(model, x, y):
    contexts = functools.partial(create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
    return F.mse_loss(checkpoint(model, x, use_reentrant=False, context_fn=contexts), y)


@loss
def vmap(model, x, y):
    return F.mse_loss(torch.vmap(model)(x), y)


@loss
def forward_derivative(model, x, y):
    output, tangent = jvp(model, (x,), (torch.ones_like(x),))
    return F.mse_loss(output, y) + tangent.pow(2).mean()


@loss
def dual_numbers(model, x, y):
    with forward_ad.dual_level():
        output, tangent = forward_ad.unpack_dual(model(forward_ad.make_dual(x, torch.ones_like(x))))
    return F.mse_loss(output, y) + tangent.pow(2).mean()


@loss
def hessian(model, x, y):
    def of(weight: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(F.linear(model[:2](x), weight, model[2].bias), y)

    second = torch.autograd.functional.hessian(of, model[2].weight, create_graph=True)
    return F.mse_loss(model(x), y) + second.pow(2).mean()


@loss
def gradient_penalty(model, x, y):
    x = x.clone().requires_grad_()
    output = model(x)
    (slope,) = torch.autograd.grad(output.sum(), x, create_graph=True)
    return F.mse_loss(output, y) + slope.pow(2).mean()


@loss
def several_backwards(model, x, y):
    output = model(x)
    output.pow(2).mean().backward(retain_graph=True)
    return F.mse_loss(output, y)


@loss
def inference_mode(model, x, y):
    with torch.inference_mode():
        kept = model(x)
    return F.mse_loss(model(x), y + kept.clone() * 0)


@loss
def nested_tensor(model, x, y):
    output = model(torch.nested.nested_tensor([x[:2], x[2:]]))
    return sum(F.mse_loss(one, other) for one, other in zip(output.unbind(), (y[:2], y[2:]), strict=True))


@loss
def jagged_tensor(model, x, y):
    return F.mse_loss(model(torch.nested.nested_tensor([x[:2], x[2:]], layout=torch.jagged)).values(), y)


@loss
def empty_and_scalar(model, x, y):
    nothing = model(x[:0])
    return F.mse_loss(torch.cat([nothing, model(x)]), y) + nothing.sum()


@loss
def short_floats(model, x, y):
    short = model(x).to(torch.float8_e4m3fn)
    return F.mse_loss(model(x.to(torch.float8_e4m3fn).float()), y) + 0 * short.float().sum()


@loss
def quantized(model, x, y):
    x = torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).dequantize()
    return F.mse_loss(model(torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127)), y)


@loss
def sparse(model, x, y):
    eye = torch.eye(5)
    return F.mse_loss(eye.to_sparse_csr() @ model(x), y) + torch.sparse.mm(eye.to_sparse(), model(x)).sum()


@loss
def written_views(model, x, y):
    output, bits = torch.zeros(5, 2), torch.empty(5, 2)
    output[:, 0] = model(x)[:, 0]
    output[:, 1] += model(x)[:, 1]
    with torch.no_grad():
        torch.add(output, 1, out=bits)
    return F.mse_loss(output, y) + 0 * bits.sum()


@loss
def view_written_before_it_is_read(model, x, y):
    turned = (model(x) * 1).transpose(0, 1)
    turned[:1] = torch.zeros(1, 5)
    return F.mse_loss(turned.t(), y)


@loss
def two_results_written(model, x, y):
    values, places = torch.empty(5), torch.empty(5, dtype=torch.long)
    torch.max(x, 1, out=(values, places))
    return F.mse_loss(model(x + values[:, None]), y)


@loss
def through_data(model, x, y):
    model[0].weight.data = model[0].weight.data * 0.9
    for own in model.parameters():
        own.data.clamp_(-1, 1)
    return F.mse_loss(model(x), y)


@loss
def lists_of_tensors(model, x, y):
    return F.mse_loss(model(x), y) + sum(each.sum() for each in torch._foreach_mul(list(model.parameters()), 2.0))


@loss
def through_numpy(model, x, y):
    output = model(x)
    array = output.detach().numpy()
    back = torch.from_numpy(array * 2).sum() + torch.as_tensor(array.tolist()).sum() + torch.tensor(array).sum()
    return F.mse_loss(output, y) + 0 * back + 0 * float(output.detach().sum())


@loss
def exported(model, x, y):
    torch.export.export(model, (x,))
    return F.mse_loss(model(x), y)


@loss
def symbolically_traced(model, x, y):
    return F.mse_loss(torch.fx.symbolic_trace(model)(x), y)


@loss
def traced_in_the_step(model, x, y):
    return F.mse_loss(torch.jit.trace(model, x, check_trace=False)(x), y)


@loss
def copied_in_the_step(model, x, y):
    return F.mse_loss(model(x), y) + 0 * copy.deepcopy(model)(x).detach().sum()


@loss
def anomaly_detection(model, x, y):
    with torch.autograd.detect_anomaly():
        return F.mse_loss(model(x), y)


@loss
def saved_elsewhere(model, x, y):
    with torch.autograd.graph.save_on_cpu():
        return F.mse_loss(model(x), y)


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_with(name: str) -> None:
    def build() -> tuple[nn.Module, Callable[[Any], Any]]:
        model = nn.Linear(3, 2) if "nested" in name or "jagged" in name else mlp()
        return model, stepping(model, LOSSES[name])

    same(build)


def test_a_sequence_that_is_packed() -> None:
    def packed(model, x, y):
        whole = pack_padded_sequence(x.expand(2, 5, 3), torch.tensor([5, 3]), batch_first=True)
        return F.mse_loss(pad_packed_sequence(model(whole)[0], batch_first=True)[0][0], y)

    same(lambda: (model := nn.LSTM(3, 2, batch_first=True), stepping(model, packed)))


@pytest.mark.parametrize("change", ["weight_norm", "spectral_norm", "orthogonal"])
def test_a_parametrized_layer(change: str) -> None:
    def build() -> tuple[nn.Module, Callable[[Any], Any]]:
        model = mlp()
        getattr(parametrizations, change)(model[0])

        def cached(model, x, y):
            with parametrize.cached():
                return F.mse_loss(model(x), y)

        return model, stepping(model, cached)

    same(build)


@pytest.mark.parametrize("kind", ["script", "prune", "compile", "half"])
def test_a_changed_model(kind: str) -> None:
    def build() -> tuple[nn.Module, Callable[[Any], Any]]:
        model: Any = mlp()
        if kind == "script":
            model = torch.jit.script(model)
        elif kind == "prune":
            prune.l1_unstructured(model[0], "weight", 0.5)
        elif kind == "compile":
            model = torch.compile(model, backend="eager")
        else:
            model.register_parameter("short", nn.Parameter(torch.ones(3).to(torch.float8_e4m3fn), requires_grad=False))
            model.register_buffer("flags", torch.zeros(3, dtype=torch.bool))
        return model, stepping(model, plain)

    same(build)


def test_a_lazy_model() -> None:
    def build() -> tuple[nn.Module, Callable[[Any], Any]]:
        model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
        made: list[torch.optim.Optimizer] = []

        def step(batch: Any) -> torch.Tensor:
            output = model(batch[0])
            made.extend([torch.optim.SGD(model.parameters(), lr=0.1)] if not made else [])
            made[0].zero_grad()
            value = F.mse_loss(output, batch[1])
            value.backward()
            made[0].step()
            return value

        return model, step

    same(build)


def test_an_ensemble_under_vmap() -> None:
    def build() -> tuple[nn.Module, Callable[[Any], Any]]:
        models = nn.ModuleList(mlp() for _ in range(3))
        weights, buffers = stack_module_state(list(models))
        base = copy.deepcopy(models[0]).to("meta")
        optimizer = torch.optim.SGD(weights.values(), lr=0.1)

        def step(batch: Any) -> torch.Tensor:
            optimizer.zero_grad()
            call = torch.vmap(lambda *state: functional_call(base, state, (batch[0],)))
            value = F.mse_loss(call(weights, buffers), batch[1].expand(3, -1, -1))
            value.backward()
            optimizer.step()
            return value

        return nn.ParameterList(weights.values()), step

    same(build)


def test_hooks_of_the_user() -> None:
    def build() -> tuple[nn.Module, Callable[[Any], Any]]:
        model = mlp()
        model[0].register_forward_hook(lambda module, args, output: output * 2)
        model[1].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
        model.register_full_backward_hook(lambda module, inputs, outputs: None)
        model[0].weight.register_hook(lambda gradient: gradient * 2)
        return model, stepping(model, plain)

    same(build)


def test_an_optimizer_inside_backward() -> None:
    def build() -> tuple[nn.Module, Callable[[Any], Any]]:
        model = mlp()
        optimizers = {own: torch.optim.SGD([own], lr=0.1) for own in model.parameters()}

        def update(own: torch.Tensor) -> None:
            optimizers[own].step()
            optimizers[own].zero_grad()

        for own in model.parameters():
            own.register_post_accumulate_grad_hook(update)

        def step(batch: Any) -> torch.Tensor:
            value = F.mse_loss(model(batch[0]), batch[1])
            value.backward()
            return value

        return model, step

    same(build)
