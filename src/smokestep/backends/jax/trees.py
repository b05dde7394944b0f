"""Trees: every array that a training keeps, by its path, read before and after each step.

Containers are opened as JAX opens them, objects changed in place (NNX, a class with `self.params`) by their attributes.
The type of what a leaf lies in says what it is for: a parameter, an optimizer's, a running statistic, a key.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from jax._src.tree_util import default_registry

from smokestep.backends.jax import frames, keras

Role = Literal["leaf", "optimizer", "statistic", "key", "other"]
DEEP = 24
WIDE = 20_000  # leaves
VARIABLES: dict[str, Role] = {
    "Param": "leaf",
    "LoRAParam": "leaf",
    "BatchStat": "statistic",
    "RngKey": "key",
    "RngCount": "key",
    "RngState": "key",
    "OptState": "optimizer",
    "OptArray": "optimizer",
    "OptVariable": "optimizer",
    "Cache": "other",
    "Intermediate": "other",
}
STATISTICS = frozenset({"batch_stats", "batch_stat"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """One array: where it lies, what it is for, and the classes of the optimizer states it lies in."""

    path: tuple[str, ...]
    value: Any
    role: Role = "leaf"
    within: tuple[str, ...] = ()
    top: tuple[str, ...] = ()  # the path of the outermost optimizer state it lies in
    holder: Any = None  # the variable of Keras that it was taken from, and what that is called
    called: str = ""
    given: bool = True  # it is in what the training declares, and was not only found where its step looks


def is_array(value: Any) -> bool:
    """Whether a value is an array that JAX computes with."""
    return isinstance(value, (jax.Array, np.ndarray)) and not isinstance(value, jax.core.Tracer)


def is_key(value: Any) -> bool:
    """Whether an array holds random keys of the new style."""
    return isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)


def leaves(
    value: Any,
    path: tuple[str, ...] = (),
    role: Role = "leaf",
    within: tuple[str, ...] = (),
    top: tuple[str, ...] = (),
    seen: set[int] | None = None,
) -> Iterator[Leaf]:
    """Every array in a tree."""
    seen = set() if seen is None else seen
    if is_array(value):
        yield Leaf(path, value, "key" if is_key(value) else role, within, top)
        return
    if value is None or isinstance(value, (str, bytes, int, float, bool, types.ModuleType)) or len(path) > DEEP:
        return
    if is_keras(value):
        yield from _of_keras(value, path, within, top)
        return
    kind = type(value)
    variable = _variable(kind)
    if variable is not None:
        role = variable if role == "leaf" else role
    elif kind.__module__.partition(".")[0] == "optax" and isinstance(value, tuple):
        role, within = "optimizer", (*within, kind.__name__)
        top = top or path
    elif kind is tuple and not top and value and _of_optax(value):
        role, top = "optimizer", path
    elif kind.__module__.startswith("equinox.nn") and kind.__name__ == "State":
        role = "statistic"
    opened = _opened(value)
    if opened is None:
        return
    if id(value) in seen and not isinstance(value, tuple):
        return
    seen.add(id(value))
    for name, child in opened:
        if name == "_pytree__state" or variable is not None:
            yield from leaves(child, path, role, within, top, seen) if variable is not None else ()
            continue
        inner = "statistic" if name in STATISTICS and role == "leaf" else role
        yield from leaves(child, (*path, name), inner, within, top, seen)


def optimizers(value: Any, path: tuple[str, ...] = (), top: tuple[str, ...] | None = None) -> dict[Any, list[str]]:
    """The outermost optimizer states in a tree, by path, each with the classes it consists of."""
    found: dict[Any, list[str]] = {}
    if value is None or is_array(value) or len(path) > DEEP:
        return found
    if is_keras(value):
        optimizer = keras.optimizer_of(value)
        return {(*path, "optimizer"): [type(optimizer).__name__]} if optimizer is not None else found
    kind = type(value)
    if kind.__module__.partition(".")[0] == "optax" and isinstance(value, tuple):
        top = path if top is None else top
        found.setdefault(top, []).append(kind.__name__)
    elif isinstance(value, tuple) and top is None and value and type(value) is tuple and _of_optax(value):
        top = path  # of `optax.chain`
    for name, child in _opened(value) or ():
        for at, classes in optimizers(child, (*path, name), top).items():
            found.setdefault(at, []).extend(classes)
    return found


def _opened(value: Any) -> list[tuple[str, Any]] | None:
    """The children of a node of a tree, by name; None if it is a leaf."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # JAX names each child as the first one
        return list(zip(value._fields, value, strict=True))
    try:
        opened = default_registry.flatten_one_level_with_keys(value)
    except Exception:
        return None
    return None if opened is None else [(_key(key), child) for key, child in opened[0]]


def _of_optax(value: tuple[Any, ...]) -> bool:
    """Whether a plain tuple is the state of chained transformations."""
    return all(
        isinstance(each, tuple)
        and (type(each).__module__.partition(".")[0] == "optax" or (type(each) is tuple and _of_optax(each)))
        for each in value
    )


def _variable(kind: type) -> Role | None:
    for each in kind.__mro__:
        if each.__module__.startswith("flax.nnx") and each.__name__ in VARIABLES:
            return VARIABLES[each.__name__]
        if each.__module__.startswith("flax.nnx.variablelib") and each.__name__ == "Variable":
            return "other"
    return None


def _key(key: Any) -> str:
    for field in ("key", "idx", "name"):
        if hasattr(key, field):
            return str(getattr(key, field))
    return str(key)


def variables(value: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Every variable of an NNX module, once; none of what is no module."""
    within, seen = seen is not None, set() if seen is None else seen
    opens = is_living(value) or (within and isinstance(value, (dict, list, tuple)))
    if not opens or is_keras(value) or id(value) in seen:
        return
    seen.add(id(value))
    if _variable(type(value)) is not None:
        yield value
        return
    for _, child in _opened(value) or ():
        yield from variables(child, seen)


def is_living(value: Any) -> bool:
    """Whether an object is changed in place by its training: an NNX module, optimizer, metric or stream of keys."""
    if isinstance(value, type):
        return False
    return any(each.__module__.startswith("flax.nnx") for each in type(value).__mro__) or is_keras(value)


def is_keras(value: Any) -> bool:
    """Whether an object is a layer, a model or an optimizer of Keras."""
    return not isinstance(value, type) and (keras.is_model(value) or keras.is_optimizer(value))


def _of_keras(value: Any, path: tuple[str, ...], within: tuple[str, ...], top: tuple[str, ...]) -> Iterator[Leaf]:
    for name, role, variable, optimizing in keras.variables(value):
        array = variable._value
        if not is_array(array):  # not built yet, or given away for the time of a fit
            continue
        if optimizing:
            slot = variable.path.rpartition("/")[2]
            own = (*path, "optimizer")
            yield Leaf((*own, slot, name), array, "optimizer", (*within, "Optimizer"), top or own)
        else:
            yield Leaf((*path, name), array, role, within, top)


@dataclass(frozen=True, slots=True)
class Holder:
    """A place of the user's that can be given another value: a variable a function closes over, an attribute."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]


def holders(steps: list[Any]) -> list[Holder]:
    """The places from which the step functions reach arrays: what they close over, their objects, globals they name."""
    found: dict[str, Holder] = {}
    seen: set[int] = set()
    for step in steps:
        _search(step, found, seen, 3)
    return list(found.values())


def _search(thing: Any, found: dict[str, Holder], seen: set[int], depth: int) -> None:
    while isinstance(thing, functools.partial):
        for each in (*thing.args, *thing.keywords.values()):
            _search(each, found, seen, depth)
        thing = thing.func
    owner = getattr(thing, "__self__", None)
    thing = _unwrapped(thing)
    owner = owner if owner is not None else getattr(thing, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        _object(owner, found, seen, depth)
    code = getattr(thing, "__code__", None)
    if code is None or id(thing) in seen or depth == 0:
        return
    seen.add(id(thing))
    for name, cell in zip(code.co_freevars, getattr(thing, "__closure__", None) or (), strict=False):
        _place(name, Holder(name, _cell(cell), functools.partial(setattr, cell, "cell_contents")), found, seen, depth)
    names = {name for each in _codes(code) for name in each.co_names}
    for name in sorted(names & set(thing.__globals__)):
        space = thing.__globals__
        _place(
            name,
            Holder(name, functools.partial(space.get, name), functools.partial(space.__setitem__, name)),
            found,
            seen,
            depth,
        )


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _codes(each)


def _unwrapped(thing: Any) -> Any:
    for _ in range(8):
        inner = getattr(thing, "__wrapped__", None) or getattr(thing, "_fun", None)
        if inner is None or not callable(inner):
            break
        thing = inner
    return getattr(thing, "__func__", thing)


def _cell(cell: Any) -> Callable[[], Any]:
    def read() -> Any:
        try:
            return cell.cell_contents
        except ValueError:
            return None

    return read


def _place(name: str, holder: Holder, found: dict[str, Holder], seen: set[int], depth: int) -> None:
    value = holder.read()
    if value is None or isinstance(value, (types.ModuleType, type, str, int, float, bool)):
        return
    if callable(value) and not is_living(value) and not is_array(value):
        if hasattr(_unwrapped(value), "__code__") or isinstance(value, functools.partial):
            if _users(value):
                _search(value, found, seen, depth - 1)
            return
    if is_keras(value) or next(leaves(value), None) is not None:
        found.setdefault(name, holder)
    elif not _library(type(value)) and hasattr(value, "__dict__"):
        _object(value, found, seen, depth - 1)


def _object(owner: Any, found: dict[str, Holder], seen: set[int], depth: int) -> None:
    if id(owner) in seen or depth <= 0:
        return
    if is_living(owner) or next(leaves(owner), None) is not None:
        found.setdefault(type(owner).__name__.lower(), Holder("", lambda: owner, lambda value: None))
        return
    seen.add(id(owner))
    if _library(type(owner)):
        return
    for name in list(getattr(owner, "__dict__", ())):
        read, write = functools.partial(getattr, owner, name), functools.partial(setattr, owner, name)
        _place(name, Holder(name, read, write), found, seen, depth)


def _library(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in (*frames.FRAMEWORKS, "builtins", "functools", "types")


def _users(function: Any) -> bool:
    code = getattr(_unwrapped(getattr(function, "func", function)), "__code__", None)
    return code is not None and frames.kind_of_file(code.co_filename) != frames.SKIP
