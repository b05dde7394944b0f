"""Edits of a program's text: a piece of syntax is written anew where it stands, and every other line keeps its number.

The text is changed and not only the tree, so that whatever reads the source (a cause, a scripted function) reads the
program that runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

ATOMS = (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Constant)


@dataclass(frozen=True, slots=True)
class Edit:
    """What is written in place of the text between two positions; columns count bytes, as in a syntax tree."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str

    @property
    def lines(self) -> range:
        """The lines that are written anew."""
        return range(self.start[0], self.end[0] + 1)


def edit(node: ast.expr | ast.stmt, text: str) -> Edit:
    """The edit that puts `text` in place of `node`, with as many line breaks as it had."""
    end = node.end_lineno or node.lineno, node.end_col_offset or 0
    breaks = "\n" * (end[0] - node.lineno)
    if (
        isinstance(node, ast.expr)
        and not isinstance(node, ast.Slice)
        and (breaks or not isinstance(ast.parse(text, mode="eval").body, ATOMS))
    ):
        text, breaks = f"({text}{breaks})", ""
    return Edit((node.lineno, node.col_offset), end, text + breaks)


def applied(source: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they must not overlap."""
    data = source.encode()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for each in sorted(edits, key=lambda each: each.start, reverse=True):
        first, last = (starts[line - 1] + column for line, column in (each.start, each.end))
        data = data[:first] + each.text.encode() + data[last:]
    return data.decode()
