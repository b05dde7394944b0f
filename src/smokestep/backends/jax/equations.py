"""Equations: what an equation of a traced program says of itself: the function behind it, its size, what it passes on.

Nothing here runs anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax._src import core

from smokestep.backends.jax import frames
from smokestep.backends.jax.markers import backward_p, forward_p, results_p

WEIGHTS = ("first", "units")  # where a product says which dimension of either operand it is not taken over
_PLACE = re.compile(r" at (.*):\d+$")
CALLS = frozenset(
    {"jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_lin", "remat_opt"}
)


def inner_of(params: dict[str, Any]) -> Any:
    """The program within an equation, None if there is none."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if key in params and hasattr(params[key], "eqns" if not hasattr(params[key], "jaxpr") else "jaxpr"):
            return params[key]
    return None


def jaxpr_of(inner: Any) -> Any:
    """The plain program of a closed one."""
    return inner.jaxpr if hasattr(inner, "jaxpr") else inner


def _source(inner: Any) -> str:
    return str(getattr(jaxpr_of(inner).debug_info, "func_src_info", "") or "")


def file_of(inner: Any) -> str:
    """The file of the function that a program is of."""
    match = _PLACE.search(_source(inner))
    return match.group(1) if match else ""


def function_of(inner: Any) -> str:
    """The name of the function that a program is of."""
    return _source(inner).split(" ")[0]


def closed_library(eqn: Any, inner: Any) -> bool:
    """Whether a compiled call is a function of the library's that is known by its name, and not one that runs ours."""
    place = frames.library(file_of(inner))
    if not place.startswith(("jax/_src/", "optax/", "jax/numpy", "jax/nn")) or marked(jaxpr_of(inner)):
        return False
    return place.startswith(
        ("jax/_src/numpy", "jax/_src/nn", "jax/_src/ops", "jax/_src/scipy", "jax/_src/random", "jax/_src/lax", "optax/")
    )


def marked(jaxpr: Any) -> bool:
    """Whether a program contains a marker."""
    for eqn in jaxpr.eqns:
        if eqn.primitive in (forward_p, backward_p, results_p):
            return True
        if any(marked(each) for each in core.jaxprs_in_params(eqn.params)):
            return True
    return False


def size_of(jaxpr: Any) -> int:
    """How many equations a program has, those within others counted."""
    return sum(1 + sum(size_of(each) for each in core.jaxprs_in_params(eqn.params)) for eqn in jaxpr.eqns)


def units_of(eqn: Any) -> dict[str, int]:
    """Of a layer: the dimension of its weight, the second operand, that counts what it gives."""
    numbers = eqn.params.get("dimension_numbers")
    if eqn.primitive.name == "conv_general_dilated":
        return {"units": numbers.rhs_spec[0]}
    if eqn.primitive.name == "dot_general" and len(numbers[0][1]) == 1:
        sides = zip(WEIGHTS, eqn.invars, numbers[0], strict=True)
        return {word: 1 - over for word, each, (over, *_) in sides if len(each.aval.shape) == 2}
    return {}


def over_of(inner: Any) -> dict[str, tuple[int, ...]]:
    """Of a function that normalises: the dimensions it does that over."""
    for eqn in jaxpr_of(inner).eqns:
        if eqn.primitive.name in ("reduce_max", "reduce_sum"):
            return {"over": tuple(eqn.params["axes"])}
        for each in core.jaxprs_in_params(eqn.params):
            if found := over_of(each):
                return found
    return {}


def plain_of(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of an equation that are plain values."""
    return {key: value for key, value in params.items() if isinstance(value, (bool, int, float, str, tuple))}


def floating(aval: Any) -> bool:
    """Whether values of a type can have a gradient."""
    return hasattr(aval, "dtype") and (
        jax.dtypes.issubdtype(aval.dtype, jax.numpy.inexact)
        if not jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended)
        else False
    )


def carrier(eqn: Any) -> Callable[[list[bool]], list[bool]]:
    """What tells of which results of an equation gradient flows back."""
    return lambda given: carried(eqn, given)


def carried(eqn: Any, given: Sequence[bool]) -> list[bool]:
    """Of which results of an equation gradient flows back, when it does from these operands."""
    name = eqn.primitive.name
    if name == "stop_gradient" or not any(given):
        return [False] * len(eqn.outvars)
    inner = inner_of(eqn.params)
    if inner is not None and (name in CALLS or name == "custom_jvp_call"):
        flags = dict(zip(jaxpr_of(inner).invars, given, strict=False))
        for each in jaxpr_of(inner).eqns:
            outs = carried(each, [_flag(flags, atom) for atom in each.invars])
            flags.update(zip(each.outvars, outs, strict=True))
        return [_flag(flags, atom) for atom in jaxpr_of(inner).outvars]
    return [floating(var.aval) for var in eqn.outvars]


def _flag(flags: dict[Any, bool], atom: Any) -> bool:
    return False if isinstance(atom, core.Literal) else flags.get(atom, False)
