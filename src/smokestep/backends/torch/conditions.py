"""Conditions: whether a line of the user's source asks for the mode of its model, read from the source itself.

Read generously, since an answer excuses: where the source cannot be read, nothing is held against the line.
"""

from __future__ import annotations

import ast
import linecache
from functools import lru_cache


@lru_cache(maxsize=512)
def sets_mode(file: str, line: int) -> bool:
    """Whether the function around this line reads or sets `training`, or calls train() or eval()."""
    tree = _tree(file)
    around = [
        node
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    inner = max(around, key=lambda node: node.lineno, default=None)
    return inner is not None and any(
        isinstance(node, ast.Attribute) and node.attr in ("training", "train", "eval") for node in ast.walk(inner)
    )


@lru_cache(maxsize=512)
def passes(file: str, line: int, name: str) -> bool:
    """Whether the dropout calls on this line pass `training`; True where the source does not show them."""
    tree = _tree(file)
    calls = [
        node
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call)
        and node.lineno <= line <= (node.end_lineno or 0)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == name
    ]
    return all(
        len(call.args) > 2
        or any(isinstance(each, ast.Starred) for each in call.args)
        or any(each.arg in (None, "training", "train") for each in call.keywords)
        for call in calls
    )


@lru_cache(maxsize=512)
def guarded(file: str, line: int) -> bool:
    """Whether what stands on this line runs only under a condition on `training`.

    Read generously, since it excuses: any condition on `training` in the function around the line counts (an early
    `return` guards too), and so does one around a call of that function in the same file.
    """
    tree = _tree(file)
    if tree is None:
        return False
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if not functions:
        return False
    inner = max(functions, key=lambda node: node.lineno)
    if any(_asks(node) for node in ast.walk(inner)):
        return True
    return inner.name != "forward" and any(
        isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) == inner.name
        for node in ast.walk(tree)
        if _asks(node)
        for call in ast.walk(node)
    )


def _asks(node: ast.AST) -> bool:
    """An `if`, a conditional expression or an `and`/`or` that reads something called `training`."""
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        tests: list[ast.expr] = [node.test]
    elif isinstance(node, ast.BoolOp):
        tests = node.values
    else:
        return False
    names = (getattr(each, "attr", getattr(each, "id", "")) for test in tests for each in ast.walk(test))
    return any(name in ("training", "is_training", "train") for name in names)


@lru_cache(maxsize=64)
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
