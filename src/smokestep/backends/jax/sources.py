"""Sources: what the text of the user's own files says of a layer that no operation read: where it is built, and whether
anything names it.

Only of a module whose class is the user's own, in Flax NNX or Equinox. Where its attribute could be reached in another
way than by its name, the answer is None, never "nothing reads it".
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from smokestep.backends.jax import frames, trees
from smokestep.findings import Line
from smokestep.world import Recording

CONSTRUCTORS = frozenset("__init__ __post_init__ setup __check_init__".split())
DYNAMIC = frozenset(  # by these an attribute is reached without its name
    "getattr vars __dict__ fields attrgetter iter_modules iter_children iter_graph __getattr__ __getattribute__ "
    "getmembers".split()
)


def keeper(roots: Iterable[tuple[tuple[str, ...], Any]], path: tuple[str, ...]) -> tuple[type, str] | None:
    """The class of the innermost module of the user's on the way to an array, and its attribute that leads there."""
    found: tuple[type, str] | None = None
    for root, node in roots:
        if path[: len(root)] != root:
            continue
        way = path[len(root) :]
        for name in way:
            if not isinstance(node, (dict, list, tuple)) and _file(type(node)):
                found = type(node), name
            node = dict(trees._opened(node) or ()).get(name)
            if node is None:
                break
        else:
            return found
    return None


def read_at(kind: type, attribute: str, files: Iterable[str]) -> tuple[Line | None, tuple[Line, ...] | None]:
    """The line that builds an attribute, and the lines that name it elsewhere; None where that cannot be told."""
    own = [each for each in kind.__mro__ if each.__module__ not in ("builtins", "typing", "abc")]
    placed = [_place(each) for each in own]
    if any(file is None or frames.kind_of_file(file) == frames.INSTALLED for file in placed):
        return None, None
    sources = {file for file in placed if file and frames.kind_of_file(file) == frames.USER} | set(files)
    try:
        sources |= set(_known_by(sources))
    except Exception:  # an object of the user's that answers no question
        return None, None
    built: Line | None = None
    lines: list[Line] = []
    for file in sorted(sources):
        tree = _tree(file)
        if tree is None:
            return None, None
        inside = {id(node) for each in ast.walk(tree) if _constructs(each) for node in ast.walk(each)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == attribute:
                line = frames.line_of(file, node.lineno)
                if id(node) not in inside:
                    lines.append(line)
                elif isinstance(node.ctx, ast.Store):
                    built = built or line
                else:  # built from it, or kept under another name as well
                    return None, None
            elif id(node) not in inside and _by_other_ways(node, attribute):
                return None, None
    return built, tuple(lines)


def _by_other_ways(node: ast.AST, attribute: str) -> bool:
    if isinstance(node, ast.Constant):
        return bool(node.value == attribute)
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in DYNAMIC


def _constructs(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name in CONSTRUCTORS


def _place(kind: type) -> str | None:
    try:
        return inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None


def _file(kind: type) -> str | None:
    file = _place(kind)
    return file if file and frames.kind_of_file(file) == frames.USER else None


def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)) or "?")
    except (SyntaxError, ValueError):
        return None


def _known_by(files: set[str]) -> Iterator[str]:
    """The user's own files whose modules, functions or classes are known by name in these files."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) not in files:
            continue
        for value in list(vars(module).values()):
            function = inspect.unwrap(value) if callable(value) and not isinstance(value, type) else value
            code = getattr(function, "__code__", None)
            name = code.co_filename if code is not None else getattr(value, "__file__", None)
            name = _place(value) if isinstance(value, type) else name
            if isinstance(name, str) and name.endswith(".py") and frames.kind_of_file(name) == frames.USER:
                yield name


def with_sources(
    recording: Recording, paths: Mapping[tuple[str, ...], str], roots: Iterable[tuple[tuple[str, ...], Any]]
) -> Recording:
    """The recording, with what the sources say of the parameters that no operation reads."""
    graphs, steps, roots = recording.flow.graphs, recording.steps, list(roots)
    read = {
        graph.values[each].name for graph in graphs for op in graph.ops for each in op.reads if each in graph.values
    }
    owners = {name: keeper(roots, path) for path, name in paths.items() if name not in read}
    if not any(owners.values()):
        return recording
    lines = [line for graph in graphs for op in graph.ops for line in op.stack]
    lines += [event.line for event in steps.events if event.line]
    files = {line.file for line in lines if frames.kind_of_file(line.file) == frames.USER}
    parameters = []
    for each in steps.parameters:
        owner = owners.get(each.name)
        if owner is not None:
            built, mentions = read_at(*owner, files)
            each = replace(each, built=built, mentions=mentions if built else None)
        parameters.append(each)
    return replace(recording, steps=replace(steps, parameters=tuple(parameters)))
