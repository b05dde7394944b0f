"""Applied: the calls of the user's functions that have a derivative of their own, heard while a step runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import jax
from jax._src.custom_derivatives import custom_jvp, custom_vjp

from smokestep.backends.jax import frames
from smokestep.findings import Line

_context = jax.make_user_context() if hasattr(jax, "make_user_context") else None  # so that steps are traced anew


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


def definition(function: Any) -> Line | None:
    """The line of its own derivative, or else its own."""
    for each in (getattr(function, "bwd", None), getattr(function, "jvp", None), function.fun):
        code = getattr(inspect.unwrap(each), "__code__", None) if each is not None else None
        if code is not None and frames.kind_of_file(code.co_filename) != frames.SKIP:
            for more in range(4):
                line = frames.line_of(code.co_filename, code.co_firstlineno + more)
                if not line.code.startswith("@"):
                    return line
    return None
