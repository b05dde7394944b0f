"""The state of a PyTorch process and of the user's objects: taken, compared and put back, keeping every identity.

Nothing is copied to another device, nothing is initialised that the user did not initialise (CUDA stays asleep).
"""

from __future__ import annotations

import torch


def seed(value: int) -> None:
    """Seed the generators of the CPU and of every device in use."""
    torch.manual_seed(value)


def global_state() -> dict[str, object]:
    """The global settings that a training can change, by name."""
    return {
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "thread count": torch.get_num_threads(),
        "torch RNG": torch.get_rng_state(),
    }


def restore_global(before: dict[str, object]) -> tuple[str, ...]:
    """Put them back; gives the names of those that had changed."""
    leaked = []
    setters = {
        "default dtype": torch.set_default_dtype,
        "grad mode": torch.set_grad_enabled,
        "thread count": torch.set_num_threads,
        "torch RNG": torch.set_rng_state,
    }
    for name, now in global_state().items():
        then = before[name]
        if not (torch.equal(now, then) if isinstance(then, torch.Tensor) else now == then):
            setters[name](then)
            leaked.append(name)
    return tuple(leaked)
