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
Shows = Callable[[Node, Program], set[int]]


@dataclass(frozen=True, slots=True)
class Operator:
    """`what` is done. `harmless`: why the result may be a right program, "" if it never is.

    `shows`: the lines, beside its own, at which a fault that is an absence shows.
    """

    name: str
    what: str
    make: Make
    harmless: str
    shows: Shows

    def mutations(self, program: Program) -> dict[tuple[Edit, ...], frozenset[int]]:
        """Every mutation of this kind in what runs of a program, in the order of its text; and where each shows."""
        found: dict[tuple[Edit, ...], frozenset[int]] = {}
        for node in program.nodes:
            for made in self.make(node, program):
                parts = ((node, made),) if isinstance(made, str) else made
                edits = tuple(edit(part, text) for part, text in parts)
                found[edits] = frozenset(self.shows(node, program)).union(*(each.lines for each in edits))
        return found


def nowhere(node: Node, program: Program) -> set[int]:
    """Of a fault that is no absence: it shows on its own lines only."""
    return set()


def at(*methods: str) -> Shows:
    """Of a call that is missing: it shows where one of these is called."""
    return lambda node, program: program.lines(*methods)


def operator(what: str, *, harmless: str = "", shows: Shows = nowhere) -> Callable[[Make], Operator]:
    """Makes an operator of the decorated function, called as it is with hyphens."""

    def wrap(make: Make) -> Operator:
        return Operator(make.__name__.replace("_", "-"), what, make, harmless, shows)

    return wrap


text = ast.unparse


def owner(node: ast.expr) -> str:
    """The text of a node, in brackets where an attribute could not follow it otherwise."""
    plain = isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
    return text(node) if plain else f"({text(node)})"
