"""Frames: whose line made an operation, read from the tracebacks that JAX keeps with its equations.

A file is the framework's (jax, flax, optax, equinox, chex and smokestep itself), an installed package's, or the user's.
A path is the call stack of one operation, innermost first; what lies between it and the user's line names it.
"""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache, partial
from types import FrameType
from typing import Any

from smokestep.findings import Line

SKIP, INSTALLED, USER = range(3)
DEPTH = 8  # lines of the user's own kept for one operation
LONG = 120  # frames looked at
FRAMEWORKS = (
    "jax jaxlib flax optax equinox chex jaxtyping haiku treescope numpy orbax einops distrax ml_dtypes beartype keras"
).split()

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_STDLIB = tuple(
    os.path.realpath(path) + os.sep for path in {sysconfig.get_path("stdlib"), os.path.dirname(os.__file__)}
)
_SITE = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("purelib", "platlib")})
_ENGINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "running.py")  # it calls the user's step


@cache
def _roots() -> tuple[tuple[str, str], ...]:
    """The folders of the framework's packages, with their names; nothing is imported for it."""
    found = []
    for name in FRAMEWORKS:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found.append((os.path.realpath(folder) + os.sep, name))
    return tuple(found)


@cache
def library(name: str) -> str:
    """The path of a file below the framework package it belongs to ("jax/_src/nn/functions.py"), else ""."""
    path = os.path.realpath(name)
    for folder, package in _roots():
        if path.startswith(folder):
            return f"{package}/{path[len(folder) :]}".replace(os.sep, "/")
    return ""


@cache
def kind_of_file(name: str) -> int:
    """Whether a source file is the framework's (SKIP), an installed package's or the user's."""
    if name.startswith(("<frozen", "<string>", "<jaxtyping", "<@beartype")):
        return SKIP
    if library(name):
        return SKIP
    path = name if name.startswith("<") else os.path.realpath(name)
    if path.startswith(_HERE):
        return SKIP
    if path.startswith(_SITE) or f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
        return INSTALLED
    return SKIP if path.startswith(_STDLIB) else USER


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a path. `at` tells two calls on one line apart."""

    file: str
    function: str
    number: int
    at: int = 0

    @property
    def kind(self) -> int:
        """Whose file it is."""
        return kind_of_file(self.file)

    @property
    def line(self) -> Line:
        """The line, with its source text."""
        return line_of(self.file, self.number)


Path = tuple[Frame, ...]


@cache
def line_of(name: str, number: int) -> Line:
    """The Line for a file and number, with its source text."""
    code = linecache.getline(name, number).strip()
    return Line(name if name.startswith("<") else os.path.abspath(name), number, code, kind_of_file(name) == INSTALLED)


def defined(function: Any) -> Line | None:
    """The line of a function's `def` below its decorators, where the user wrote it."""
    function = inspect.unwrap(function.func if isinstance(function, partial) else function)
    code = getattr(function, "__code__", None)
    if code is None or kind_of_file(code.co_filename) != USER:
        return None
    first = code.co_firstlineno
    numbers = (n for n in range(first, first + 10) if line_of(code.co_filename, n).code.startswith("def "))
    return line_of(code.co_filename, next(numbers, first))


def of_traceback(traceback: Any) -> Path:
    """The path of an equation."""
    if traceback is None:
        return ()
    try:
        frames = traceback.frames
        places = traceback.raw_frames()[1]
    except AttributeError:
        return ()
    found = []
    for position, frame in enumerate(frames[:LONG]):
        at = places[position] if position < len(places) else 0
        found.append(Frame(frame.file_name, frame.function_name, frame.line_num, at))
    return tuple(found)


def of_stack(depth: int = 0) -> Path:
    """The path of the code that runs now, up to the step's own call."""
    frame: FrameType | None = sys._getframe(depth + 1)
    found: list[Frame] = []
    while frame is not None and len(found) < LONG:
        code = frame.f_code
        if code.co_filename == _ENGINE:
            break
        found.append(Frame(code.co_filename, code.co_qualname, frame.f_lineno, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)


def of_exception(error: BaseException) -> Line | None:
    """The innermost line of the user's own that an exception passed."""
    found, traceback = None, error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if kind_of_file(name) == USER:
            found = line_of(name, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def lines(path: Path) -> tuple[Line | None, tuple[Line, ...]]:
    """The innermost line outside the framework, and every line of the user's own that led to it, innermost first."""
    inner: Line | None = None
    own: list[Line] = []
    for frame in path:
        kind = frame.kind
        if kind == SKIP:
            continue
        if inner is None:
            inner = frame.line
        if kind == USER and len(own) < DEPTH:
            own.append(frame.line)
    return inner, tuple(own)


def calls(path: Path) -> tuple[Path, Frame | None]:
    """The framework's frames between the operation and the first frame outside of it, outermost first; that frame."""
    for position, frame in enumerate(path):
        if frame.kind != SKIP:
            return tuple(reversed(path[:position])), frame
    return tuple(reversed(path)), None
