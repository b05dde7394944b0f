"""Quickly: how a program that runs a few times is compiled."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    from smokestep.backends.jax.sketch import Sketch

# Multiplications and additions of the convolutions of one program. Without optimization a CPU does 6e9 of them in a
# second, and 75e9 with it (measured, two cores): from here on compiling longer is paid back within ten runs.
HEAVY = 5e8


def quickly(found: Sketch) -> dict[str, Any]:
    """Compiler options for a program that runs three times: on a CPU, in haste unless it convolves for long."""
    return _options(_convolutions(found) > HEAVY)


@functools.cache
def _options(heavy: bool) -> dict[str, Any]:
    if jax.default_backend() != "cpu":
        return {}
    if heavy:
        return {"xla_backend_optimization_level": 1}
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


def _convolutions(found: Sketch) -> float:
    """How many multiplications and additions the convolutions of a program take, its differentiated functions included.

    A convolution takes two for each of its outputs and each entry of the kernel that makes one output feature.
    """
    work = 0.0
    for step in found.steps:
        if step.body is not None:
            work += _convolutions(step.body)
        elif step.primitive == "conv_general_dilated" and isinstance(kernel := step.reads[1], int):
            shape, features = found.avals[kernel].shape, step.params["dimension_numbers"].rhs_spec[0]
            outputs = math.prod(found.avals[step.makes[0]].shape)
            work += 2.0 * outputs * math.prod(shape) / max(1, shape[features])
    return work
