"""Derivatives tried: functions with a derivative of their own, nudged to either side in double precision.

The numbers are those that the recorded model gave them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from smokestep import facts
from smokestep.backends.jax import trees
from smokestep.backends.jax.lab.applied import Applied, definition
from smokestep.backends.jax.lab.nudges import idle, nudged
from smokestep.backends.jax.lab.rerun import Heard
from smokestep.backends.jax.sketch import Plain
from smokestep.evidence.slopes import Sloped

WHOLE = "JAX differentiates it, all but the functions with a derivative of their own, which are tried alone"
UNSEEN = "the numbers that it was called with were not seen"
_double: Any = (
    jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
)  # a block in double precision


def tried(heard: Heard | None, seen: Sequence[Applied]) -> Iterator[Sloped]:
    """Each of them, tried on what the recorded model gave it."""
    for each in seen:
        known = Sloped(each.name, each.line, definition(each.function))
        found = _numbers(heard, each) if heard is not None else None
        if found is None:
            yield _skipped(known, UNSEEN)
            continue
        with _double(True):
            try:
                yield _tried(known, each, *found)
            except Exception as error:
                yield _skipped(known, f"it could not be tried in double precision: {facts.told(error)}")


def _numbers(heard: Heard, applied: Applied) -> tuple[list[Any], list[bool]] | None:
    """The arrays that it was given, flat, one sample's where it is called for each sample; and which of them depend on
    what is differentiated."""
    static = set(getattr(applied.function, "nondiff_argnums", ()))
    flat = jax.tree_util.tree_leaves([each for i, each in enumerate(applied.args) if i not in static])
    for step in heard.body.sketch.steps:
        if step.outer != applied.name or len(step.reads) < len(flat):
            continue
        reads = step.reads[len(step.reads) - len(flat) :]
        values = [each.value if isinstance(each, Plain) else heard.values.get(each) for each in reads]
        arrays = [_sample(value, np.shape(like)) for value, like in zip(values, flat, strict=True)]
        if any(each is None for each in arrays):
            continue
        return arrays, [not isinstance(each, Plain) and heard.body.requires[each] for each in reads]
    return None


def _sample(value: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if value is None or trees.is_key(value):
        return None
    array = np.asarray(value)
    while array.ndim > len(shape) and array.shape != shape:
        array = array[0]
    return array if array.shape == shape else None


def _tried(known: Sloped, applied: Applied, arrays: list[Any], wanting: list[bool]) -> Sloped:
    """The sum of the results, each entry with a random weight, is what is differentiated."""
    static = set(getattr(applied.function, "nondiff_argnums", ()))
    places = [i for i in range(len(applied.args)) if i not in static]
    parameters = list(inspect.signature(applied.function.fun).parameters)
    paths, tree = jax.tree_util.tree_flatten_with_path([applied.args[i] for i in places])
    names = [_name(parameters, places[path[0].idx], path[1:]) for path, _ in paths]
    start = [_wide(each) for each in arrays]
    wanted = [i for i, wants in enumerate(wanting) if wants and _real(start[i])]
    if not wanted:
        return _skipped(known, "nothing that it is given in numbers asks for gradient")

    @jax.jit
    def call(flat: list[Any]) -> list[Any]:
        args = list(applied.args)
        for place, value in zip(places, jax.tree_util.tree_unflatten(tree, flat), strict=True):
            args[place] = value
        return [each for each in jax.tree_util.tree_leaves(applied.function(*args)) if _real(each)]

    results, pull = jax.vjp(lambda some: call([some.get(i, each) for i, each in enumerate(start)]),
                            {i: start[i] for i in wanted})  # fmt: skip
    if not results or any(each.dtype != jnp.float64 for each in results):
        return _skipped(known, "its result is not in double precision, although its arguments are")
    draws = np.random.Generator(np.random.PCG64(0))
    weights = [draws.standard_normal(each.shape) for each in results]
    (grads,) = pull([jnp.asarray(each) for each in weights])

    def total(place: int, moved: Any) -> float:
        now = call([jnp.asarray(moved) if i == place else each for i, each in enumerate(start)])
        return sum(float((np.asarray(each) * weight).sum()) for each, weight in zip(now, weights, strict=True))

    inputs = tuple(
        nudged(
            names[i], np.asarray(start[i]), np.asarray(grads[i]), results, weights, lambda x, i=i: total(i, x), draws
        )
        for i in wanted
        if np.any(np.asarray(grads[i]))  # none at all is what `None` from a `bwd` becomes
    )
    others = [i for i, each in enumerate(start) if i not in wanted and _real(each)]
    idle = next((names[i] for i in others if idle(np.asarray(start[i]), lambda x, i=i: total(i, x), draws)), "")
    return Sloped(known.name, known.line, known.backward, inputs, idle)


def _wide(array: Any) -> Any:
    return jnp.asarray(array, jnp.float64) if jnp.issubdtype(array.dtype, jnp.floating) else jnp.asarray(array)


def _real(value: Any) -> bool:
    return hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating) and value.size > 0


def _name(parameters: list[str], place: int, path: Any) -> str:
    name = parameters[place] if place < len(parameters) else f"argument {place}"
    return name + jax.tree_util.keystr(path)


def _skipped(known: Sloped, why: str) -> Sloped:
    return Sloped(known.name, known.line, known.backward, why=why)
