"""Motion: which parameters and buffers of some objects a block of code moved, by how much, and on a gradient or not.

Copies are compared bit for bit; only a block that is over is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from smokestep.backends.torch.snapshot import same_bits
from smokestep.world import Motion


def observe(things: Mapping[str, Any]) -> Callable[[], tuple[Motion, ...]]:
    """Start to watch the tensors of these modules, parameters, optimizers, or sequences of them; call to end it."""
    tensors: dict[int, tuple[str, torch.Tensor, bool]] = {}
    for name, thing in things.items():
        for path, tensor, statistic in _tensors(name, thing):
            tensors.setdefault(id(tensor), (path, tensor, statistic))
    before = {key: tensor.detach().clone() for key, (_, tensor, _) in tensors.items()}
    gradients: dict[int, float] = {}
    hooks = [
        tensor.register_post_accumulate_grad_hook(lambda tensor, key=key: _arrived(gradients, key, tensor))
        for key, (_, tensor, _) in tensors.items()
        if tensor.requires_grad and tensor.is_leaf
    ]

    def ended() -> tuple[Motion, ...]:
        for hook in hooks:
            hook.remove()
        return tuple(
            Motion(
                name=name,
                moved=not same_bits(tensor.detach(), before[key]),
                distance=_distance(tensor.detach(), before[key]),
                gradient=gradients.get(key),
                trainable=tensor.requires_grad,
                statistic=statistic,
                parameter=isinstance(tensor, nn.Parameter),
            )
            for key, (name, tensor, statistic) in tensors.items()
        )

    return ended


def _arrived(gradients: dict[int, float], key: int, tensor: torch.Tensor) -> None:
    if tensor.grad is not None:
        values = tensor.grad.coalesce().values() if tensor.grad.is_sparse else tensor.grad
        gradients[key] = float(values.abs().max()) if values.numel() else 0.0


def _tensors(name: str, thing: Any) -> Iterator[tuple[str, torch.Tensor, bool]]:
    if isinstance(thing, nn.Module):
        for path, module in thing.named_modules():
            own: Iterable[tuple[str, torch.Tensor | None]] = (*module._parameters.items(), *module._buffers.items())
            for word, tensor in own:
                if tensor is not None:
                    statistic = isinstance(module, _NormBase) and word in module._buffers
                    yield ".".join(filter(None, (name, path, word))), tensor, statistic
    elif isinstance(thing, torch.Tensor):
        yield name, thing, False
    elif isinstance(thing, torch.optim.Optimizer):
        yield from _tensors(name, [tensor for group in thing.param_groups for tensor in group["params"]])
    elif isinstance(thing, Mapping):
        for key, each in thing.items():
            yield from _tensors(f"{name}.{key}", each)
    elif isinstance(thing, (list, tuple, set, frozenset, Iterator)):
        for index, each in enumerate(thing):
            yield from _tensors(f"{name}[{index}]", each)
    else:
        raise TypeError(f"give modules, parameters, optimizers or sequences of them, got {type(thing).__name__}")


def _distance(now: torch.Tensor, before: torch.Tensor) -> float:
    if now.shape != before.shape or not now.numel() or now.is_meta:
        return 0.0
    wide = torch.complex128 if now.is_complex() else torch.float64
    return float((now.to(wide) - before.to(wide)).abs().max())
