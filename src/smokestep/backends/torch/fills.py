"""Fills: the line that gave a parameter its first numbers, as far as the user's source text tells.

Only a call that can be meant is named, and only if no other could be meant as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from torch import nn

from smokestep.backends.torch import frames, sources
from smokestep.backends.torch.naming import Models, defined_in
from smokestep.findings import Line

FILLS = frozenset("constant_ zeros_ ones_ fill_ zero_ fill constant".split())
COPIES = frozenset({"deepcopy"})
NOT_WEIGHTS = frozenset("bias grad running_mean running_var".split())


def filled_at(models: Models, module: nn.Module, name: str, files: Sequence[str]) -> Line | None:
    """The call that fills this parameter, else the line that builds it or its layer, else None."""
    own = name.rpartition(".")[2]
    layer, built, known = _owner(models, module, name)
    if layer == own and built is not None:
        return built
    calls = [call for file in sorted(known | set(files)) for call in _calls(file, FILLS)]
    for wanted in ({layer, own} - {""}, {own}):
        found = [line for line, words in calls if wanted <= words]
        if found:
            return found[0] if len(set(found)) == 1 else built
    found = [line for line, words in calls if words.isdisjoint(NOT_WEIGHTS)]
    return found[0] if len(set(found)) == 1 else built


def copied_at(models: Models, module: nn.Module, name: str, files: Sequence[str]) -> Line | None:
    """The one call of `deepcopy` that can have made this parameter, else the line that builds it or its layer."""
    _, built, known = _owner(models, module, name)
    found = {line for file in sorted(known | set(files)) for line, _ in _calls(file, COPIES)}
    return found.pop() if len(found) == 1 else built


def _owner(models: Models, module: nn.Module, name: str) -> tuple[str, Line | None, set[str]]:
    """The attribute that holds a parameter or its layer, the line that assigns it, and the files of that class."""
    keeper = sources.keeper(models, module, name)
    if keeper is None:
        return "", None, set()
    kind, layer = type(keeper[0]), keeper[1]
    built = sources.built_at(kind, layer) if layer else None
    return layer, built, {file for each in kind.__mro__ if (file := defined_in(each))}


def _calls(file: str, functions: frozenset[str]) -> Iterator[tuple[Line, frozenset[str]]]:
    """The calls of some functions in a file, each with the names that stand in it."""
    tree = frames.tree(file)
    for node in ast.walk(tree) if tree else ():
        if (
            isinstance(node, ast.Call)
            and _word(node.func) in functions
            and (line := frames.line_of((file, node.lineno)))
        ):
            yield line, frozenset(word for each in ast.walk(node) if (word := _word(each)))


def _word(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
