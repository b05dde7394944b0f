"""Lines of a graph: where the user's own code made an operation, and where it is now.

A frame is the framework's, an installed package's, or the user's; TensorFlow, Keras and tf_slim all count as the
framework, so that a layer is told on the line that calls it.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from types import FrameType
from typing import Any

from smokestep.findings import Line

SKIP, INSTALLED, USER = range(3)
DEPTH = 8  # lines of the user's own kept for one operation
Raw = tuple[str, int]

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_STDLIB = tuple(
    os.path.realpath(path) + os.sep for path in {sysconfig.get_path("stdlib"), os.path.dirname(os.__file__)}
)
_SITE = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("purelib", "platlib")})
_CALLER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sessions.py")  # it calls the user's functions
_FRAMEWORK = ("tensorflow", "keras", "tf_keras", "tf_slim", "absl")


@cache
def kind_of_file(name: str) -> int:
    """Whether a source file is the framework's (SKIP), an installed package's or the user's."""
    if name.startswith(("<frozen", "<string>", "<__array_function__")):
        return SKIP
    path = name if name.startswith("<") else os.path.realpath(name)
    if path.startswith(_HERE):
        return SKIP
    inside = next((path[len(site) :] for site in _SITE if path.startswith(site)), None)
    if inside is None and f"{os.sep}site-packages{os.sep}" in path:
        inside = path.rpartition(f"{os.sep}site-packages{os.sep}")[2]
    if inside is not None:
        return SKIP if inside.split(os.sep)[0] in _FRAMEWORK else INSTALLED
    return SKIP if path.startswith(_STDLIB) else USER


def lines_in(frames: Iterable[Raw]) -> tuple[Raw | None, tuple[Raw, ...]]:
    """Of frames, innermost first: the innermost outside the framework, and all that are the user's own."""
    inner: Raw | None = None
    own: list[Raw] = []
    for raw in frames:
        if raw[0] == _CALLER:
            break
        kind = kind_of_file(raw[0])
        if kind == SKIP:
            continue
        inner = inner or raw
        if kind == USER:
            own.append(raw)
    return inner, tuple(own[:DEPTH])


def of_op(op: Any) -> tuple[Raw | None, tuple[Raw, ...]]:
    """Where an operation of a graph was made."""
    return lines_in((frame.filename, frame.lineno) for frame in reversed(list(op.traceback)))


def here(depth: int = 1) -> tuple[Raw | None, tuple[Raw, ...]]:
    """Where the running code is."""
    frame: FrameType | None = sys._getframe(depth)
    found: list[Raw] = []
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return lines_in(found)


@cache
def line_of(raw: Raw | None) -> Line | None:
    """The Line of a position, with its text."""
    if raw is None:
        return None
    name, number = raw
    shown = name if name.startswith("<") else os.path.abspath(name)
    return Line(shown, number, linecache.getline(name, number).strip(), kind_of_file(name) == INSTALLED)
