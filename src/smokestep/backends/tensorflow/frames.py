"""Frames: whose line is running, and inside which of the framework's own functions.

A frame is the framework's (TensorFlow's, Keras's, smokestep's or the standard library's), an installed package's or
the user's; the class of a code object never changes, so it is looked up once.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache, lru_cache
from types import CodeType, FrameType

import tensorflow as tf

from smokestep.backends.tensorflow import composites
from smokestep.findings import Line

SKIP, INSTALLED, USER, MUTE, ENGINE = range(5)
DEPTH = 8  # lines of the user's own kept for one operation
Raw = tuple[str, int]  # file name and line number, turned into a Line only when the report needs it


_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_TENSORFLOW = os.path.dirname(os.path.dirname(os.path.abspath(tf.__file__))) + os.sep  # site-packages
_FRAMEWORK = tuple(_TENSORFLOW + name + os.sep for name in ("tensorflow", "keras", "tf_keras", "tf_slim", "optree"))
_KERAS = os.path.join(_TENSORFLOW, "keras", "src", "")
# What is done there is no part of the training: metrics, first values, the seeds of random layers.
_MUTE = tuple(_KERAS + each for each in (f"metrics{os.sep}", f"initializers{os.sep}", f"random{os.sep}seed_generator"))
_STDLIB = tuple(
    os.path.realpath(path) + os.sep for path in {sysconfig.get_path("stdlib"), os.path.dirname(os.__file__)}
)
_SITE = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("purelib", "platlib")})
_ENGINES = {
    os.path.join(os.path.dirname(os.path.abspath(__file__)), name) for name in ("__init__.py", "lab/__init__.py")
}
_kinds: dict[CodeType, int] = {}


def _kind(code: CodeType) -> int:
    if code.co_filename in _ENGINES:
        return ENGINE
    if os.path.realpath(code.co_filename).startswith(_MUTE):
        return MUTE
    return kind_of_file(code.co_filename)


@cache
def kind_of_file(name: str) -> int:
    """Whether a source file is the framework's (SKIP), an installed package's or the user's."""
    if name.startswith(("<frozen", "<string>", "<__array_function__", "<decorator")):
        return SKIP
    path = name if name.startswith("<") else os.path.realpath(name)
    if path.startswith((_HERE, *_FRAMEWORK)):
        return SKIP
    if path.startswith(_SITE) or f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
        return INSTALLED
    return SKIP if path.startswith(_STDLIB) else USER


@dataclass(slots=True)
class Trail:
    """Where an operation was asked for. `within`: the frames of known functions of the framework that it is part of,
    outermost first; `muted`: it belongs to a metric."""

    line: Raw | None
    stack: tuple[Raw, ...]
    within: tuple[FrameType, ...]
    muted: bool


def trail(depth: int = 0) -> Trail:
    """The innermost line outside the framework, every line of the user's own that led to it, and what it is part of."""
    frame: FrameType | None = sys._getframe(depth + 1)
    inner: Raw | None = None
    found: list[Raw] = []
    within: list[FrameType] = []
    muted = False
    while frame is not None and len(found) < DEPTH:
        code = frame.f_code
        kind = _kinds.get(code)
        if kind is None:
            kind = _kinds[code] = _kind(code)
        if kind == USER:
            found.append((code.co_filename, frame.f_lineno))
        elif kind == ENGINE:
            break
        elif not found:
            if kind == INSTALLED and inner is None:
                inner = (code.co_filename, frame.f_lineno)
            elif kind == MUTE:
                muted = True
            elif inner is None and composites.known(code):
                within.append(frame)
        frame = frame.f_back
    return Trail(inner or (found[0] if found else None), tuple(found), tuple(reversed(within)), muted)


def position(depth: int = 0) -> tuple[Raw | None, Raw | None]:
    """The innermost line outside the framework, and the innermost line of the user's own code (the same, usually)."""
    found = trail(depth + 1)
    return found.line, found.stack[0] if found.stack else found.line


def user_frame(depth: int = 0) -> FrameType | None:
    """The innermost frame of the user's own code."""
    frame: FrameType | None = sys._getframe(depth + 1)
    while frame is not None and _kinds.setdefault(frame.f_code, _kind(frame.f_code)) != USER:
        frame = frame.f_back
    return frame


@cache
def line_of(raw: Raw | None) -> Line | None:
    """The Line for a raw position, with its source text."""
    if raw is None:
        return None
    name, number = raw
    code = linecache.getline(name, number).strip()
    return Line(shown(name), number, code, kind_of_file(name) == INSTALLED)


def shown(name: str) -> str:
    """A file name as the report shows it: absolute, unless it is no file at all."""
    return name if name.startswith("<") else os.path.abspath(name)


@lru_cache(maxsize=256)
def tree(name: str) -> ast.Module | None:
    """The syntax tree of a source file, or None if its source is not to be had."""
    try:
        return ast.parse("".join(linecache.getlines(name)))
    except (SyntaxError, ValueError):
        return None
