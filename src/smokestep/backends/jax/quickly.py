"""Quickly: how a program that runs a few times is compiled."""

from __future__ import annotations

import functools
from typing import Any

import jax


@functools.cache
def quickly() -> dict[str, Any]:
    """Compiler options for a program that runs three times: on a CPU compiling it takes longest."""
    if jax.default_backend() != "cpu":
        return {}
    plain: dict[str, Any] = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    haste = plain | {
        "xla_cpu_use_fusion_emitters": False,  # halves the time that a small program takes to compile (jaxlib 0.10)
        "xla_cpu_enable_concurrency_optimized_scheduler": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    }
    try:
        jax.jit(lambda x: x, compiler_options=haste).lower(0.0).compile()
    except Exception:  # options come and go with the versions of the compiler
        return plain
    return haste
