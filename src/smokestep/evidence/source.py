"""What the text of a source line says: what becomes of its result, and which region it stands in.

Read from the syntax tree alone, and only to word a cause or to doubt one: where the text is not to be had, or says
nothing certain, the answer is "unknown".
"""

from __future__ import annotations

import ast
import linecache
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from smokestep.findings import Line

UseKind = Literal[
    "overwritten",  # the variable is assigned again before anything reads it
    "unread",  # nothing reads the variable
    "bare",  # the statement assigns its result to nothing
    "discarded",  # assigned to a name that says so (`_`)
    "returned",  # handed to the caller
    "stored",  # kept in an attribute, a container or a list
    "conditional",  # read, but only in a branch
    "read",  # read
    "unknown",
]
BRANCHES = (ast.If, ast.Try, ast.While, ast.For, ast.AsyncFor, ast.IfExp, ast.BoolOp, ast.Match)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
SOME_OR_MANY = (ast.IfExp, ast.BoolOp, ast.Lambda, ast.comprehension)  # what is in it runs not once each time
LOSS = re.compile("loss|crit|entropy|kl_div|bce|mse|mae|l1|nll|^ce$")
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
# Reading these of a tensor says nothing about its entries, or takes them out of the training for good.
LOOKS = frozenset("shape size dim ndim dtype device numel item tolist numpy detach cpu argmax data".split())
NO_GRAD = frozenset({"no_grad", "inference_mode"})


@dataclass(frozen=True, slots=True)
class Use:
    """What becomes of the result of a line: `name` is the variable, `at` the line that overwrites or reads it."""

    kind: UseKind
    name: str = ""
    at: Line | None = None
    several: bool = False  # one of several names assigned at once


@dataclass(frozen=True, slots=True)
class _Event:
    loads: bool
    line: int
    path: tuple[ast.AST, ...]  # the statements and expressions around it, outermost first
    kind: Literal["plain", "look", "return"] = "plain"


@lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _tree(line: Line) -> ast.Module | None:
    lines = linecache.getlines(line.file)
    return _parsed("".join(lines)) if lines else None


def _line(like: Line, number: int) -> Line:
    return Line(like.file, number, linecache.getline(like.file, number).strip(), like.installed)


def _around(tree: ast.AST, number: int) -> list[ast.AST]:
    """The nodes that enclose a line, outermost first; the last one is the innermost statement."""
    path: list[ast.AST] = [tree]
    while True:
        inner = next((each for each in _statements(path[-1]) if _first(each) <= number <= (each.end_lineno or 0)), None)
        if inner is None:
            return path
        path.append(inner)


def _first(node: ast.stmt) -> int:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return min([node.lineno, *(each.lineno for each in node.decorator_list)])
    return node.lineno


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from child.body


def loss_sites(line: Line) -> int:
    """How often the statement at `line` calls one loss there, if it makes these calls all, and in one order; else 1."""
    return _loss_sites("".join(linecache.getlines(line.file)), line.line)


@lru_cache(maxsize=256)
def _loss_sites(text: str, number: int) -> int:
    tree = _parsed(text)
    statement = _around(tree, number)[-1] if tree else None
    if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)):
        return 1
    nodes = list(ast.walk(statement))
    if any(isinstance(node, SOME_OR_MANY) for node in nodes):
        return 1
    calls = [node.func for node in nodes if isinstance(node, ast.Call) and node.lineno == number]
    called = Counter(name for name in map(ast.unparse, calls) if LOSS.search(name.rpartition(".")[2].lower()))
    return max(called.values()) if called else 1


def function_of(line: Line) -> str:
    """The name of the function a line stands in, "" if none or unknown."""
    tree = _tree(line)
    found = [node.name for node in _around(tree, line.line) if isinstance(node, SCOPES[:2])] if tree else []
    return found[-1] if found else ""


def no_grad_region(lines: Sequence[Line]) -> tuple[Line, Line] | None:
    """Of a call stack, innermost first: the line under `no_grad` in its own function, and the line that says so."""
    for line in lines:
        tree = _tree(line)
        for node in reversed(_around(tree, line.line) if tree else []):
            said: Sequence[ast.expr] = ()
            if isinstance(node, ast.With):
                said = [item.context_expr for item in node.items]
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                said = node.decorator_list
            for expression in said:
                if _says_no_grad(expression):
                    return line, _line(line, expression.lineno)
    return None


def _says_no_grad(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    if name == "set_grad_enabled" and isinstance(node, ast.Call):  # of a variable: switched off on purpose
        return any(isinstance(each, ast.Constant) and each.value is False for each in node.args)
    return name in NO_GRAD


def freezes(lines: Iterable[Line]) -> Line | None:
    """The one line, in the files that these lines stand in, that sets `requires_grad` or `trainable`, not to True."""
    found = []
    for like in {line.file: line for line in lines if not line.installed}.values():
        for node in ast.walk(_tree(like) or ast.Module([], [])):
            value: ast.expr | None = None
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "requires_grad_"
            ):
                value = node.args[0] if node.args else None
            elif isinstance(node, ast.Assign) and any(
                isinstance(each, ast.Attribute) and each.attr in ("requires_grad", "trainable") for each in node.targets
            ):
                value = node.value
            if value is not None and not (isinstance(value, ast.Constant) and value.value is True):
                found.append(_line(like, value.lineno))
    return found[0] if len(found) == 1 else None


def becomes(line: Line) -> Use:
    """What becomes of the result of the statement at `line`."""
    tree = _tree(line)
    path = _around(tree, line.line) if tree else []
    statement = path[-1] if path else None
    if len(path) > 1 and sum(_first(each) <= line.line <= (each.end_lineno or 0) for each in _statements(path[-2])) > 1:
        return Use("unknown")  # several statements on one line
    if isinstance(statement, ast.Return):
        return Use("returned")
    if isinstance(statement, ast.Expr):
        if isinstance(statement.value, (ast.Yield, ast.YieldFrom)):
            return Use("returned")
        return Use("stored" if _stores(statement.value) else "bare")
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    else:
        return Use("unknown")
    if _lambda_at(statement, line.line):
        return Use("unknown")
    flat = [each for target in targets for each in _flat(target)]
    if not all(isinstance(each, ast.Name) for each in flat):
        return Use("stored")
    scope = next((node for node in reversed(path) if isinstance(node, SCOPES)), path[0])
    uses = [_of_name(each.id, scope, path, line) for each in flat if isinstance(each, ast.Name)]
    kept = [use for use in uses if use.kind not in ("read", "returned")] or uses
    order = ("conditional", "stored", "discarded", "unread", "overwritten", "returned", "read", "unknown")
    best = min(kept, key=lambda use: order.index(use.kind))
    return Use(best.kind, best.name, best.at, several=len(flat) > 1)


def _flat(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, (ast.Tuple, ast.List)):
        for each in target.elts:
            yield from _flat(each)
    else:
        yield target.value if isinstance(target, ast.Starred) else target


def _stores(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in (
        "append", "extend", "add", "update", "insert", "put", "appendleft", "setdefault", "push",
    )  # fmt: skip


def _lambda_at(statement: ast.AST, number: int) -> bool:
    return any(isinstance(node, ast.Lambda) and node.lineno <= number for node in ast.walk(statement))


def _of_name(name: str, scope: ast.AST, path: list[ast.AST], line: Line) -> Use:
    if name.startswith("_"):
        return Use("discarded", name)
    statement = path[-1]
    events = [each for each in _events(scope, name, ()) if not _other_branch(each, path)]
    own = [index for index, each in enumerate(events) if not each.loads and statement in each.path]
    if not own:
        return Use("unknown", name)
    later = events[own[-1] + 1 :]
    loop = next((node for node in reversed(path) if isinstance(node, LOOPS)), None)
    if loop is not None:  # the next round comes before what follows the loop
        inside = [each for each in later if loop in each.path]
        again = [each for each in events[: own[-1] + 1] if loop in each.path]
        later = inside + again + [each for each in later if loop not in each.path]
    maybe: Line | None = None
    for event in later:
        certain = not any(isinstance(node, BRANCHES) and node not in path for node in event.path)
        at = _line(line, event.line)
        if event.loads and event.kind == "return":
            return Use("returned", name, at)
        if event.loads and event.kind == "plain":
            if certain:
                return Use("read", name, at)
            maybe = maybe or at
        elif not event.loads and certain:
            return Use("conditional", name, maybe) if maybe else Use("overwritten", name, at)
    return Use("conditional", name, maybe) if maybe else Use("unread", name)


def _other_branch(event: _Event, path: list[ast.AST]) -> bool:
    """Whether an event stands in the other branch of an `if` that the statement stands in."""
    for node in event.path:
        if isinstance(node, ast.If) and node in path[:-1]:
            mine = next((child for child in node.body if child in path), None) is not None
            theirs = next((child for child in node.body if child in event.path), None) is not None
            in_test = not theirs and not any(child in event.path for child in node.orelse)
            if mine != theirs and not in_test:
                return True
    return False


def _events(node: ast.AST, name: str, path: tuple[ast.AST, ...]) -> Iterator[_Event]:
    """Reads and writes of a variable below a node, in the order in which they run."""
    here = (*path, node)
    if isinstance(node, ast.Name):
        if node.id == name:
            yield _Event(isinstance(node.ctx, ast.Load), node.lineno, path, _kind(path))
        return
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Assign):
        children = [node.value, *node.targets]
    elif isinstance(node, ast.AugAssign):
        if isinstance(node.target, ast.Name) and node.target.id == name:
            yield _Event(True, node.lineno, here)
        children = [node.value, node.target]
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        children = [node.iter, node.target, *node.body, *node.orelse]
    elif isinstance(node, ast.AnnAssign):
        children = [each for each in (node.value, node.target) if each is not None]
    for child in children:
        yield from _events(child, name, here)


def _kind(path: tuple[ast.AST, ...]) -> Literal["plain", "look", "return"]:
    above = path[-1] if path else None
    if isinstance(above, ast.Attribute) and above.attr in LOOKS:
        return "look"
    for node in reversed(path):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in ("print", "float", "len", "isinstance", "int"):
            return "look"
        if isinstance(node, ast.Assert):
            return "look"
        if isinstance(node, ast.Return):
            return "return"
    return "plain"


def again(first: Line, second: Line, name: str) -> tuple[str, str]:
    """What two lines both read, besides `name`, and what the second one feeds it to: ("x", "conv2"), or empty."""
    tree = _tree(first)
    if tree is None or first.file != second.file:
        return "", ""
    one, two = (_arguments(_around(tree, line.line)[-1]) for line in (first, second))
    for argument, callee in two.items():
        if argument in one and argument != name and name not in two:
            return argument, callee
    return "", ""


def _arguments(statement: ast.AST) -> dict[str, str]:
    """Plain names handed to calls in a statement, each with the last part of what was called."""
    found: dict[str, str] = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            called = node.func
            callee = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            for each in node.args:
                if isinstance(each, ast.Name):
                    found.setdefault(each.id, callee)
    return found


def assigned_after(line: Line, attribute: str) -> Line | None:
    """The first line below in the same file that assigns this attribute of an object that is not `self`."""
    tree = _parsed("".join(linecache.getlines(line.file)))
    for node in ast.walk(tree) if tree else ():
        if not isinstance(node, ast.Assign) or node.lineno <= line.line:
            continue
        for target in node.targets:
            if isinstance(target, ast.Attribute) and target.attr == attribute and ast.unparse(target.value) != "self":
                return _line(line, node.lineno)
    return None
