"""A mutation operator: a function from a node of a running program to what can be written in its place."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..edits import Edit, edit
from ..program import Program

Node = ast.expr | ast.stmt
Made = str | tuple[tuple[Node, str], ...]  # in place of the node, or of several
Make = Callable[[Node, Program], Iterator[Made]]


@dataclass(frozen=True, slots=True)
class Operator:
    """`what` is done. `harmless`: why the result may be a right program, "" if it never is.

    `shows`: the methods on whose lines a fault that is an absence shows.
    """

    name: str
    what: str
    make: Make
    harmless: str
    shows: tuple[str, ...]

    def edits(self, program: Program) -> list[tuple[Edit, ...]]:
        """Every mutation of this kind in what runs of a program, in the order of its text."""
        found: dict[tuple[Edit, ...], None] = {}
        for node in program.nodes:
            for made in self.make(node, program):
                parts = ((node, made),) if isinstance(made, str) else made
                found[tuple(edit(part, text) for part, text in parts)] = None
        return list(found)


def operator(what: str, *, harmless: str = "", shows: tuple[str, ...] = ()) -> Callable[[Make], Operator]:
    """Makes an operator of the decorated function, called as it is with hyphens."""

    def wrap(make: Make) -> Operator:
        return Operator(make.__name__.replace("_", "-"), what, make, harmless, shows)

    return wrap


text = ast.unparse


def owner(node: ast.expr) -> str:
    """The text of a node, in brackets where an attribute could not follow it otherwise."""
    plain = isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
    return text(node) if plain else f"({text(node)})"
