"""Iterators: what gives its elements once, to whoever asks first, and is handed to an optimizer or to clipping.

An iterator is kept until the recording ends: only the same object met again is at its end for certain.
"""

from __future__ import annotations

import ast
from functools import cache
from types import FrameType
from typing import Any

from smokestep.backends.torch import frames


class Spent:
    """The iterators that have given parameters, by identity."""

    def __init__(self) -> None:
        self._kept: dict[int, Any] = {}

    def gave(self, thing: Any) -> None:
        """Something was handed over whole; if it is an iterator, it has nothing left."""
        if hasattr(type(thing), "__next__"):
            self._kept[id(thing)] = thing

    def clipping(self, inside: FrameType | None) -> str | None:
        """How the call of this clipping function names what it was given, if that had been at its end before."""
        frame = inside.f_back if inside is not None else None
        while frame is not None and frames.kind_of_file(frame.f_code.co_filename) == frames.SKIP:
            frame = frame.f_back
        name = _argument(frame.f_code.co_filename, frame.f_lineno) if frame is not None else None
        if inside is None or frame is None or name is None:
            return None
        given = _found(frame, name)
        if inside.f_locals.get("parameters"):  # by now a list of what was given
            self.gave(given)
        elif self._kept.get(id(given), self) is given:
            return name
        return None

    def release(self) -> None:
        """Keep nothing any more."""
        self._kept.clear()


@cache
def _argument(file: str, line: int) -> str | None:
    """The first argument of the clipping on this line, if it is a plain name or an attribute of one."""
    tree = frames.tree(file)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or 0):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            named = [each.value for each in node.keywords if each.arg == "parameters"]
            for given in [*node.args, *named][:1] if "clip_grad" in called else ():
                text = ast.unparse(given)
                return text if all(part.isidentifier() for part in text.split(".")) else None
    return None


def _found(frame: FrameType, name: str) -> Any:
    first, *rest = name.split(".")
    thing = frame.f_locals.get(first, frame.f_globals.get(first))
    for each in rest:
        thing = getattr(thing, "__dict__", {}).get(each)
    return thing
