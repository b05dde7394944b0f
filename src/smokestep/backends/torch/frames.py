"""Frames: whose line is running. The innermost line outside the framework, and the innermost of the user's own.

A frame is the framework's (or smokestep's, or the standard library's), an installed package's, or the user's; the class
of a code object never changes, so it is looked up once.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from functools import cache, lru_cache
from types import CodeType, FrameType

import torch

from smokestep.findings import Line

SKIP, INSTALLED, USER, CLIP, APPLY, ENGINE = range(6)
DEPTH = 8  # lines of the user's own kept for one operation
Raw = tuple[str, int]  # file name and line number, turned into a Line only when the report needs it

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_KERAS = os.path.join(os.path.dirname(os.path.dirname(_TORCH)), "keras") + os.sep  # where it runs on torch
_STDLIB = tuple(
    os.path.realpath(path) + os.sep for path in {sysconfig.get_path("stdlib"), os.path.dirname(os.__file__)}
)
_SITE = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("purelib", "platlib")})
_BACKEND = os.path.dirname(os.path.abspath(__file__))
_ENGINES = {os.path.join(_BACKEND, "__init__.py"), os.path.join(_BACKEND, "lab", "__init__.py")}  # they call the user's
_kinds: dict[CodeType, int] = {}


def _kind(code: CodeType) -> int:
    if code is torch.autograd.Function.apply.__func__.__code__:
        return APPLY
    if code.co_filename.endswith("clip_grad.py") and code.co_name in ("clip_grad_norm_", "clip_grad_value_"):
        return CLIP
    if code.co_filename in _ENGINES:
        return ENGINE
    return kind_of_file(code.co_filename)


@cache
def kind_of_file(name: str) -> int:
    """Whether a source file is the framework's (SKIP), an installed package's or the user's."""
    if name.startswith(("<frozen", "<string>", "<__array_function__")):
        return SKIP
    path = name if name.startswith("<") else os.path.realpath(name)
    if path.startswith((_HERE, _TORCH, _KERAS)):
        return SKIP
    if path.startswith(_SITE) or f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
        return INSTALLED
    return SKIP if path.startswith(_STDLIB) else USER


def position(depth: int = 0) -> tuple[Raw | None, Raw | None]:
    """The innermost line outside the framework, and the innermost line of the user's own code (the same, usually)."""
    frame: FrameType | None = sys._getframe(depth + 1)
    inner: Raw | None = None
    while frame is not None:
        code = frame.f_code
        kind = _kinds.get(code)
        if kind is None:
            kind = _kinds[code] = _kind(code)
        if kind == USER:
            raw = (code.co_filename, frame.f_lineno)
            return inner or raw, raw
        if kind == INSTALLED and inner is None:
            inner = (code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return inner, inner


def trail(depth: int = 0) -> tuple[Raw | None, tuple[Raw, ...], FrameType | None]:
    """The innermost line outside the framework, every line of the user's own that led to it, innermost first, and the
    outermost frame among them that applies a custom autograd Function."""
    frame: FrameType | None = sys._getframe(depth + 1)
    inner: Raw | None = None
    found: list[Raw] = []
    applying: FrameType | None = None
    while frame is not None and len(found) < DEPTH:
        code = frame.f_code
        kind = _kinds.get(code)
        if kind is None:
            kind = _kinds[code] = _kind(code)
        if kind == USER:
            found.append((code.co_filename, frame.f_lineno))
        elif kind == INSTALLED and inner is None and not found:
            inner = (code.co_filename, frame.f_lineno)
        elif kind == APPLY:
            applying = frame
        elif kind == ENGINE:
            break
        frame = frame.f_back
    return inner or (found[0] if found else None), tuple(found), applying


def within(kind: int, depth: int = 0) -> FrameType | None:
    """The outermost frame of a kind (APPLY: a custom autograd Function's, CLIP: gradient clipping's) on the stack."""
    frame: FrameType | None = sys._getframe(depth + 1)
    found = None
    while frame is not None:
        code = frame.f_code
        known = _kinds.get(code)
        if known is None:
            known = _kinds[code] = _kind(code)
        if known == kind:
            found = frame
        frame = frame.f_back
    return found


def clipping(depth: int = 0) -> bool:
    """Whether the call comes directly from gradient clipping."""
    frame: FrameType | None = sys._getframe(depth + 1)
    for _ in range(8):  # the wrappers of no_grad and foreach lie between
        if frame is None:
            return False
        code = frame.f_code
        kind = _kinds.get(code)
        if kind is None:
            kind = _kinds[code] = _kind(code)
        if kind == CLIP:
            return True
        if kind in (USER, INSTALLED):
            return False
        frame = frame.f_back
    return False


def user_frame(depth: int = 0) -> FrameType | None:
    """The innermost frame of the user's own code."""
    frame: FrameType | None = sys._getframe(depth + 1)
    while frame is not None and _kinds.setdefault(frame.f_code, _kind(frame.f_code)) != USER:
        frame = frame.f_back
    return frame


@cache
def line_of(raw: Raw | None) -> Line | None:
    """The Line for a raw position, with its source text; the first line of a statement that spans several."""
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
