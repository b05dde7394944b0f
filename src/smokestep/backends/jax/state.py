"""State: the process-wide settings of JAX, taken and put back. It has no global generator, so none is seeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax

SETTINGS = (
    "jax_enable_x64",
    "jax_debug_nans",
    "jax_debug_infs",
    "jax_disable_jit",
    "jax_default_device",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_enable_custom_prng",
    "jax_debug_key_reuse",
    "jax_check_tracer_leaks",
    "jax_threefry_partitionable",
    "jax_enable_checks",
    "jax_transfer_guard",
)


def seed(value: int) -> None:
    """Nothing: in JAX randomness comes from keys that the training itself makes."""


def global_state() -> dict[str, tuple[Any, Callable[[Any], object]]]:
    """The global settings that a training can change: by name, the value and what sets it."""
    known = set(jax.config.values)
    return {
        name.removeprefix("jax_").replace("_", " "): (jax.config.values[name], partial(jax.config.update, name))
        for name in SETTINGS
        if name in known
    }


def restore_global(before: Mapping[str, tuple[Any, Callable[[Any], object]]]) -> tuple[str, ...]:
    """Put the settings back; gives the names of those that had changed."""
    now = global_state()
    changed = [name for name, (value, _) in before.items() if name in now and now[name][0] != value]
    for name in changed:
        value, put = before[name]
        put(value)
    return tuple(changed)
