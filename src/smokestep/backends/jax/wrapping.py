"""Wrapping: while a step is recorded, the calls of modules and of their dropouts leave a note in what is traced.

Linen has a hook of its own for it; of Flax NNX and Equinox the `__call__` of each class is wrapped, and put back. What
a model is given, and gives, is not touched. Only the outermost model is noted: its layers are its own business.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax._src import core

from smokestep.backends.jax import frames
from smokestep.backends.jax.notes import Note, note_p

if TYPE_CHECKING:
    from smokestep.backends.jax.hooks import Hooks

DROPOUTS = frozenset({"Dropout", "AlphaDropout"})
LIBRARIES = ("flax.nnx", "flax.linen", "equinox")
LAYERS = ("flax.nnx.nn.", "flax.nnx.helpers", "flax.nnx.rnglib", "equinox.nn.")
KEYS = frozenset("key keys rng rngs".split())
DEEP = 4


class _Running(threading.local):
    """The outermost model that runs in this thread."""

    root: Any = None


@contextmanager
def wrapped(hooks: Hooks) -> Iterator[None]:
    """Within the block, the modules of the libraries in use leave notes."""
    running = _Running()
    with ExitStack() as stack:
        linen, nnx, equinox = (sys.modules.get(name) for name in ("flax.linen", "flax.nnx", "equinox"))
        if linen is not None:
            stack.enter_context(linen.intercept_methods(_interceptor(hooks, running)))
        if nnx is not None:
            _classes(stack, nnx.Module, hooks, running)
            _switches(stack, nnx.Module, hooks)
        if equinox is not None:
            _classes(stack, equinox.Module, hooks, running)
        yield


def _interceptor(hooks: Hooks, running: _Running) -> Callable[..., Any]:
    def intercept(next_fun: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        scope = module.scope
        if scope is None or scope.get_flag("initializing", False) or context.method_name == "setup":
            return next_fun(*args, **kwargs)
        return around(hooks, running, module, context.method_name, args, kwargs, next_fun)

    return intercept


def _classes(stack: ExitStack, base: type, hooks: Hooks, running: _Running) -> None:
    for kind in _below(base):
        if kind.__module__.startswith(LIBRARIES) and not kind.__module__.startswith(LAYERS):
            continue
        own = kind.__module__.startswith(LIBRARIES)
        for name, method in list(vars(kind).items()):
            users = not own and inspect.isfunction(method) and not name.startswith("_") and _of_user(method)
            if name == "__call__" or users:
                _put(stack, kind, name, _noting(hooks, running, name, method))


def _of_user(method: Any) -> bool:
    return frames.kind_of_file(inspect.unwrap(method).__code__.co_filename) == frames.USER


def _put(stack: ExitStack, kind: type, name: str, method: Any) -> None:
    before = vars(kind)[name]
    setattr(kind, name, method)
    stack.callback(setattr, kind, name, before)


def _below(base: type) -> Iterator[type]:
    ahead, seen = list(base.__subclasses__()), set()
    while ahead:
        kind = ahead.pop()
        if kind not in seen:
            seen.add(kind)
            ahead += kind.__subclasses__()
            yield kind


def _noting(hooks: Hooks, running: _Running, name: str, method: Any) -> Any:
    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        bound = method.__get__(self, type(self)) if hasattr(method, "__get__") else functools.partial(method, self)
        return around(hooks, running, self, name, args, kwargs, bound)

    return functools.update_wrapper(call, inspect.unwrap(getattr(method, "method", method)))


def _switches(stack: ExitStack, base: type, hooks: Hooks) -> None:
    for name in ("train", "eval"):
        method = vars(base).get(name)
        if method is not None:
            _put(stack, base, name, _switching(hooks, name, method))


def _switching(hooks: Hooks, name: str, method: Any) -> Any:
    @functools.wraps(method)
    def switch(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not hooks.busy:
            hooks.switch(type(self).__name__, name == "train", frames.lines(frames.of_stack(1))[0])
        return method(self, *args, **kwargs)

    return switch


def around(
    hooks: Hooks, running: _Running, module: Any, method: str, args: Any, kwargs: Any, call: Callable[..., Any]
) -> Any:
    """Make a call of a module, with notes around it if it is the outermost one, or a dropout."""
    if hooks.busy:
        return call(*args, **kwargs)
    if is_dropout(type(module)):
        result = call(*args, **kwargs)
        if method == "__call__":
            with suppress(Exception):  # what cannot be told is not noted
                _note_dropout(running.root, module, args, kwargs, result)
        return result
    if running.root is not None:
        return call(*args, **kwargs)
    running.root = module
    try:
        result = call(*args, **kwargs)
        if method == "__call__":
            with suppress(Exception):  # a transformation that knows nothing of notes
                _note_call(module, args, kwargs, result)
        return result
    finally:
        running.root = None


def is_dropout(kind: type) -> bool:
    """Whether a class is a dropout layer of a library's, or made of one."""
    return any(each.__name__ in DROPOUTS and each.__module__.startswith(LIBRARIES) for each in kind.__mro__)


def _note_call(module: Any, args: Any, kwargs: Any, result: Any) -> None:
    given, gave = _given(module, args, kwargs), list(_arrays(result))
    if given is not None and gave and all(each is not None for each in gave):
        note_p.bind(*given[1], note=given[0])
        note_p.bind(*gave, note=Note("gave", type(module).__name__))


def _given(module: Any, args: Any, kwargs: Any) -> tuple[Note, list[Any]] | None:
    kind = type(module)
    names, definition = _signature(kind)
    found: list[tuple[str, Any]] = []
    for index, value in enumerate(args):
        name = names[index] if index < len(names) else f"argument {index}"
        found += [(name, each) for each in _arrays(value) if each is not None]
    for name, value in kwargs.items():
        found += [(name, each) for each in _arrays(value) if each is not None]
    found = [(name, each) for name, each in found if name not in KEYS and not _raw_key(each)]
    if not found:
        return None
    note = Note("given", kind.__name__, tuple(name for name, _ in found), definition, definition is None)
    return note, [each for _, each in found]


@functools.cache
def _signature(kind: type) -> tuple[tuple[str, ...], tuple[str, int] | None]:
    """The names of the arguments of `__call__`, and the line of its `def` if that is the user's."""
    function = inspect.unwrap(inspect.getattr_static(kind, "__call__", None) or (lambda: None))
    function = inspect.unwrap(getattr(function, "__func__", getattr(function, "method", function)))
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return (), None
    placed = [each for each in parameters[1:] if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    names = tuple(each.name for each in placed)
    line = frames.defined(function)
    return names, (line.file, line.line) if line else None


def _arrays(value: Any, depth: int = 0) -> Iterator[Any]:
    """The arrays in what a model is given or gives; None for what may hold arrays that are not seen."""
    if isinstance(value, (jax.Array, core.Tracer, np.ndarray)):
        if not jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):
            yield value
    elif value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic, type)):
        return
    elif depth < DEEP and isinstance(value, Mapping):
        for each in value.values():
            yield from _arrays(each, depth + 1)
    elif depth < DEEP and isinstance(value, (list, tuple)):
        for each in value:
            yield from _arrays(each, depth + 1)
    elif type(value).__module__.startswith(LIBRARIES) and type(value).__name__ == "State":
        return  # running statistics
    else:
        yield None


def _raw_key(array: Any) -> bool:
    return bool(array.dtype == np.uint32 and array.shape[-1:] == (2,))


def _note_dropout(root: Any, module: Any, args: Any, kwargs: Any, result: Any) -> None:
    given = args[0] if args else next((kwargs[name] for name in ("x", "inputs") if name in kwargs), None)
    rate = getattr(module, "rate", getattr(module, "p", None))
    if not isinstance(given, (jax.Array, core.Tracer, np.ndarray)) or not isinstance(rate, (int, float)) or rate <= 0:
        return
    words = ("deterministic", "inference")
    explicit = next((kwargs[word] for word in words if kwargs.get(word) is not None), None)
    if explicit is None and len(args) > 1:
        explicit = args[1]
    own = next((getattr(module, word) for word in words if getattr(module, word, None) is not None), None)
    note = Note(
        "dropout",
        type(root).__name__ if root is not None else "",
        path=_place(root, module),
        rate=float(rate),
        active=result is not given,
        explicit=explicit if isinstance(explicit, bool) else None,
        training=not own if isinstance(own, bool) else True,
    )
    note_p.bind(given, note=note)


def _place(root: Any, module: Any) -> str:
    """Where a dropout lies in the model that runs, "" if that is not found."""
    path = getattr(module, "path", None)
    if isinstance(path, tuple):  # Linen's
        return ".".join(map(str, path))
    ahead: list[tuple[str, Any]] = [("", root)]
    seen: set[int] = set()
    while ahead and len(seen) < 2000:
        name, thing = ahead.pop(0)
        if thing is module:
            return name
        if id(thing) in seen or isinstance(thing, (jax.Array, core.Tracer, np.ndarray, str, int, float, type(None))):
            continue
        seen.add(id(thing))
        inner: Any = thing.items() if isinstance(thing, Mapping) else None
        if inner is None:
            listed = isinstance(thing, (list, tuple)) or type(thing).__name__ == "List"
            inner = enumerate(thing) if listed else getattr(thing, "__dict__", {}).items()
        ahead += [(f"{name}.{key}".lstrip("."), each) for key, each in inner]
    return ""
