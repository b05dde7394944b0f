"""Derivatives tried: functions with a derivative of their own, nudged to either side in double precision.

`jax.custom_vjp` and `jax.custom_jvp` are heard where the step calls them, for the functions as the user wrote them; the
numbers are those that the recorded model gave them. Two widths of nudge must agree: where they do not there is a kink,
or noise, and the slope is left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax._src.custom_derivatives import custom_jvp, custom_vjp

from smokestep import facts
from smokestep.backends.jax import frames, trees
from smokestep.backends.jax.lab.rerun import Heard
from smokestep.backends.jax.sketch import Plain
from smokestep.evidence.slopes import Input, Slope, Sloped
from smokestep.findings import Line

WHOLE = "JAX differentiates it, all but the functions with a derivative of their own, which are tried alone"
UNSEEN = "the numbers that it was called with were not seen"
WIDTHS = (1e-4, 1e-5)  # of the largest entry: the error of a central difference is then some 1e-8 and 1e-10
SETTLED = 1e-4  # the share by which the two may differ
DIRECTIONS, ENTRIES = 3, 8
_context = jax.make_user_context() if hasattr(jax, "make_user_context") else None  # so that steps are traced anew
_double: Any = (
    jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
)  # a block in double precision


@dataclass(frozen=True, slots=True)
class Applied:
    """One call of a function with a derivative of its own: its arguments, of whose arrays the types are known."""

    function: Any
    args: tuple[Any, ...]
    line: Line | None

    @property
    def name(self) -> str:
        """What the user calls it."""
        return str(getattr(self.function.fun, "__name__", "a function"))


@contextmanager
def applying() -> Iterator[list[Applied]]:
    """The first call of every such function of the user's in the block."""
    seen: dict[int, Applied] = {}
    with ExitStack() as stack:
        if _context is not None:
            stack.enter_context(_context("smokestep-derivatives"))
        for kind in (custom_vjp, custom_jvp):
            original = kind.__call__
            stack.callback(setattr, kind, "__call__", original)
            kind.__call__ = _heard(original, seen)
        found: list[Applied] = []
        yield found
        found += seen.values()


def _heard(original: Any, seen: dict[int, Applied]) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        code = getattr(inspect.unwrap(self.fun), "__code__", None)
        if code is not None and id(self) not in seen and frames.kind_of_file(code.co_filename) != frames.SKIP:
            inner, own = frames.lines(frames.of_stack(1))
            try:
                given = inspect.signature(self.fun).bind(*args, **kwargs)
                given.apply_defaults()
                if not given.kwargs:
                    seen[id(self)] = Applied(self, given.args, own[0] if own else inner)
            except (TypeError, ValueError):
                pass
        return original(self, *args, **kwargs)

    return call


def tried(heard: Heard | None, seen: Sequence[Applied]) -> Iterator[Sloped]:
    """Each of them, tried on what the recorded model gave it."""
    for each in seen:
        known = Sloped(each.name, each.line, _definition(each.function))
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
        _input(
            names[i], np.asarray(start[i]), np.asarray(grads[i]), results, weights, lambda x, i=i: total(i, x), draws
        )
        for i in wanted
        if np.any(np.asarray(grads[i]))  # none at all is what `None` from a `bwd` becomes
    )
    others = [i for i, each in enumerate(start) if i not in wanted and _real(each)]
    idle = next((names[i] for i in others if _idle(np.asarray(start[i]), lambda x, i=i: total(i, x), draws)), "")
    return Sloped(known.name, known.line, known.backward, inputs, idle)


def _input(
    name: str, array: Any, grad: Any, results: Any, weights: Any, total: Callable[[Any], float], draws: Any
) -> Input:
    size = _size(array)
    steps = [(draws.standard_normal(array.shape) * size, False) for _ in range(DIRECTIONS)]
    for index in draws.permutation(array.size)[:ENTRIES]:
        one = np.zeros(array.size)
        one[index] = size
        steps.append((one.reshape(array.shape), True))
    slopes = [_slope(total, array, step, float((grad * step).sum()), entry) for step, entry in steps]
    kept = tuple(each for each in slopes if each)
    passing = any(grad.shape == each.shape and _passed(grad, each) for each in weights)
    same = any(each.shape == array.shape and bool((np.asarray(each) == array).all()) for each in results)
    middle = total(array)
    bend = max(
        abs(total(array + step / 2) + total(array - step / 2) - 2 * middle) for step, entry in steps if not entry
    )
    steep = max((abs(each.measured) for each in kept), default=0.0)
    return Input(name, kept, len(slopes), array.size, same, passing, bend <= 1e-7 * steep)


def _slope(total: Callable[[Any], float], array: Any, step: Any, given: float, entry: bool) -> Slope | None:
    coarse, fine = ((total(array + width * step) - total(array - width * step)) / (2 * width) for width in WIDTHS)
    if not abs(coarse - fine) <= SETTLED * max(abs(coarse), abs(fine)) + 1e-12 * abs(total(array)) / WIDTHS[1]:
        return None
    return Slope(fine, given, entry)


def _idle(array: Any, total: Callable[[Any], float], draws: Any) -> bool:
    return total(array + draws.standard_normal(array.shape) * _size(array) / 2) == total(array)


def _passed(grad: Any, weight: Any) -> bool:
    """The gradient is the incoming one, times one number, wherever it is not 0."""
    ratio = grad[grad != 0] / weight[grad != 0]
    return bool(ratio.size) and bool(np.abs(ratio - ratio[0]).max() <= 1e-9 * abs(ratio[0]))


def _wide(array: Any) -> Any:
    return jnp.asarray(array, jnp.float64) if jnp.issubdtype(array.dtype, jnp.floating) else jnp.asarray(array)


def _real(value: Any) -> bool:
    return hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating) and value.size > 0


def _size(array: Any) -> float:
    return float(np.abs(array).max()) or 1.0


def _name(parameters: list[str], place: int, path: Any) -> str:
    name = parameters[place] if place < len(parameters) else f"argument {place}"
    return name + jax.tree_util.keystr(path)


def _definition(function: Any) -> Line | None:
    """The line of its own derivative, or else its own."""
    for each in (getattr(function, "bwd", None), getattr(function, "jvp", None), function.fun):
        code = getattr(inspect.unwrap(each), "__code__", None) if each is not None else None
        if code is not None and frames.kind_of_file(code.co_filename) != frames.SKIP:
            for more in range(4):
                line = frames.line_of(code.co_filename, code.co_firstlineno + more)
                if not line.code.startswith("@"):
                    return line
    return None


def _skipped(known: Sloped, why: str) -> Sloped:
    return Sloped(known.name, known.line, known.backward, why=why)
