"""How programs are compiled: in haste, unless they convolve for longer than compiling takes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from smokestep.backends.jax import quickly
from smokestep.backends.jax.sketch import sketch


def convolved(images, kernel):
    return lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def options(size: int, channels: int) -> object:
    images, kernel = jnp.zeros((2, size, size, channels)), jnp.zeros((3, 3, channels, channels))
    return quickly.quickly(sketch(jax.make_jaxpr(convolved)(images, kernel)))


def test_the_work_of_a_convolution_is_counted() -> None:
    images, kernel = jnp.zeros((2, 8, 8, 3)), jnp.zeros((5, 5, 3, 4))
    found = sketch(jax.make_jaxpr(convolved)(images, kernel))
    assert quickly._convolutions(found) == 2 * (2 * 8 * 8 * 4) * (5 * 5 * 3)


def test_only_what_convolves_for_long_is_optimized() -> None:
    assert options(8, 8) != options(64, 64) == {"xla_backend_optimization_level": 1}
    many = sketch(jax.make_jaxpr(jnp.matmul)(jnp.zeros((2048, 2048)), jnp.zeros((2048, 2048))))
    assert quickly.quickly(many) == options(8, 8)
