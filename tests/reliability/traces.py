"""What smokestep puts into the frameworks while it looks, and must have taken out again: one snapshot of all of it."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.optim import Optimizer, lr_scheduler
from torch.optim import optimizer as optimizer_hooks


def traces() -> dict[str, Any]:
    """Hooks, patches, mode stacks and settings, comparable with `==`."""
    found: dict[str, Any] = {
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "default dtype": torch.get_default_dtype(),
        "default device": str(torch.get_default_device()),
        "threads": torch.get_num_threads(),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
        ),
        "anomaly mode": torch.is_anomaly_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "random state": torch.get_rng_state().tolist(),
        "meta path": list(sys.meta_path),
        "tracing": (sys.gettrace(), sys.getprofile()),
        "python threads": threading.active_count(),
    }
    for holder in (module_hooks, optimizer_hooks):
        for name, value in vars(holder).items():
            if name.startswith("_global_") and isinstance(value, dict):
                found[name] = dict(value)
    found["compile"] = torch.compile
    for owner in (torch.autograd, torch.Tensor, Optimizer, nn.Module, torch.amp.GradScaler, *_kinds(Optimizer)):
        found[f"patches of {owner.__name__}"] = {
            name: value for name, value in vars(owner).items() if callable(value) and not isinstance(value, type)
        }
    for owner in _kinds(lr_scheduler.LRScheduler):
        found[f"patches of {owner.__name__}"] = {name: value for name, value in vars(owner).items() if callable(value)}
    return found


def _kinds(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)


def hooks_of(*objects: Any) -> list[Any]:
    """Everything hooked to these modules, their parameters and these optimizers."""
    found: list[Any] = []
    for each in objects:
        held = [each]
        if isinstance(each, nn.Module):
            held += [*each.modules(), *each.parameters()]
        for one in held:
            names = [name for name in dir(one) if name.endswith("_hooks") and not name.startswith("__")]
            found += [
                (name, dict(value)) for name in names if (value := getattr(one, name)) and isinstance(value, dict)
            ]
            if isinstance(one, torch.Tensor):
                found.append(type(one))
    return found


def alive(kind: type) -> int:
    """How many objects of a class there are."""
    gc.collect()
    return sum(issubclass(type(each), kind) for each in gc.get_objects())
