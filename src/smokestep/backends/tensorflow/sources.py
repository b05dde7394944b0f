"""Sources: what the text of the user's classes says: where `call` begins, and which lines name an attribute."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from typing import Any

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.naming import defined_in
from smokestep.findings import Line


@cache
def definition(kind: type) -> Line | None:
    """The `def call` line of a class of the user's."""
    function = inspect.unwrap(getattr(kind, "call", None) or (lambda: None))
    code = getattr(function, "__code__", None)
    if code is None or frames.kind_of_file(code.co_filename) == frames.SKIP:
        return None
    return frames.line_of((code.co_filename, code.co_firstlineno))


def mentions(layer: Any, attribute: str) -> tuple[Line, ...] | None:
    """The lines of a layer's own class that read an attribute; None where that cannot be told."""
    kind = type(layer)
    file = defined_in(kind) if layer is not None else None
    if file is None:
        return None
    try:
        lines, first = inspect.getsourcelines(kind)
    except (OSError, TypeError):
        return None
    text = "".join(lines)
    if "getattr(" in text or "vars(" in text or "weights" in text or "variables" in text:
        return None
    names = [key for key, value in vars(layer).items() if getattr(value, "name", None) == attribute] or [attribute]
    reads = re.compile(rf"self\.({'|'.join(map(re.escape, names))})\b(?!\s*=[^=])")
    return tuple(
        line
        for number, code in enumerate(lines, first)
        if reads.search(code) and (line := frames.line_of((file, number))) is not None
    )


@cache
def asks_mode(file: str, line: int) -> bool:
    """Whether the function around a line has a condition on `training`; True where the source cannot be read."""
    tree = frames.tree(file)
    if tree is None:
        return True
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return any(
        isinstance(node, (ast.If, ast.IfExp)) and "training" in ast.dump(node.test)
        for function in around
        for node in ast.walk(function)
    )
