"""State: the process-wide settings of PyTorch, seeded, taken and put back.

Nothing is initialised that the user did not initialise: CUDA stays asleep.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch


def device_generators() -> Iterator[tuple[str, Any]]:
    """The modules of the devices in use, by name: each has a generator for every device."""
    for name in ("cuda", "xpu"):
        module = getattr(torch, name, None)
        if module is not None and module.is_available() and module.is_initialized():
            yield name, module


def seed(value: int) -> None:
    """Seed the generators of the CPU and of every device in use."""
    torch.manual_seed(value)


def global_state() -> dict[str, tuple[Any, Callable[[Any], object]]]:
    """The global settings that a training can change: by name, the value and what sets it."""
    cudnn = torch.backends.cudnn
    state: dict[str, tuple[Any, Callable[[Any], object]]] = {
        "default dtype": (torch.get_default_dtype(), torch.set_default_dtype),
        "default device": (
            str(torch.get_default_device()),
            lambda device: torch.set_default_device(None if device == "cpu" else device),
        ),
        "grad mode": (torch.is_grad_enabled(), torch.set_grad_enabled),
        "thread count": (torch.get_num_threads(), torch.set_num_threads),
        "anomaly detection": (
            (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
            lambda values: torch.autograd.set_detect_anomaly(*values),
        ),
        "deterministic algorithms": (
            (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            lambda values: torch.use_deterministic_algorithms(values[0], warn_only=values[1]),
        ),
        "autocast cache": (torch.is_autocast_cache_enabled(), torch.set_autocast_cache_enabled),
        "torch RNG": (torch.get_rng_state(), torch.set_rng_state),
    }
    for flag in ("enabled", "benchmark", "deterministic"):
        state[f"cudnn {flag}"] = (getattr(cudnn, flag), lambda value, flag=flag: setattr(cudnn, flag, value))
    for device in ("cpu", "cuda"):
        state[f"autocast on {device}"] = (
            (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)),
            lambda values, device=device: (
                torch.set_autocast_enabled(device, values[0]),
                torch.set_autocast_dtype(device, values[1]),
            ),
        )
    for name, module in device_generators():
        with contextlib.suppress(RuntimeError):  # a kernel that failed has left the device useless for this process
            state[f"{name} RNG"] = (tuple(module.get_rng_state_all()), module.set_rng_state_all)
    return state


def restore_global(before: Mapping[str, tuple[Any, Callable[[Any], object]]]) -> tuple[str, ...]:
    """Put the settings back; gives the names of those that had changed."""
    now = global_state()
    changed = [name for name, (value, _) in before.items() if name in now and not _equal(now[name][0], value)]
    for name in changed:
        value, put = before[name]
        put(value)
    return tuple(changed)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
