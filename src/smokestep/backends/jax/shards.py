"""Shards: a `shard_map` over a single device, whose parts are the whole, so that its body can be walked as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

# What talks to the other devices: with a single one each gives back what it is given, in the shape it says.
COLLECTIVES = frozenset(
    "psum psum2 psum_invariant pmax pmin ppermute pbroadcast pvary pcast all_gather all_gather_invariant all_to_all "
    "reduce_scatter psum_scatter unreduced_psum".split()
)


def alone(params: dict[str, Any]) -> bool:
    """Whether a `shard_map` has a single device."""
    return getattr(params.get("mesh"), "size", 0) == 1 and hasattr(params.get("jaxpr"), "eqns")


def within(mesh: Any, call: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    """One operation of a body as its own `shard_map`: types that were traced there are of that place."""

    def run(*operands: Any) -> Sequence[Any]:
        plain = [None if isinstance(each, jax.Array) else (each,) for each in operands]

        def part(*arrays: Any) -> list[Any]:
            rest = iter(arrays)
            return list(call(*(next(rest) if each is None else each[0] for each in plain)))

        arrays = [each for each in operands if isinstance(each, jax.Array)]
        spec = PartitionSpec()
        return jax.shard_map(part, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)(*arrays)

    return run


def collective(eqn: Any) -> Callable[..., Sequence[Any]] | None:
    """What an equation that talks to other devices gives where there are none; None for any other equation.

    One over an axis that `vmap` has given a number is a sum like any other.
    """
    if eqn.primitive.name == "axis_index":
        return lambda *_: (jnp.zeros((), eqn.outvars[0].aval.dtype),)
    axes = eqn.params.get("axes", eqn.params.get("axis_name", ()))
    numbered = any(isinstance(each, int) for each in (axes if isinstance(axes, tuple) else (axes,)))
    if eqn.primitive.name not in COLLECTIVES or numbered:
        return None
    shapes = [var.aval.shape for var in eqn.outvars]
    return lambda *given: [jnp.reshape(each, shape) for each, shape in zip(given, shapes, strict=True)]
