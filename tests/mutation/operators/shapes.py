"""Faults of dimensions: the wrong one is averaged, normalised, moved or squeezed, and the shapes still fit."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..program import Program, method
from .operator import Made, Node, operator, owner, text

OWNERS = ("F", "torch", "nn.functional")


def _dimension(node: ast.Call) -> ast.expr | None:
    """The dimension that a call of a reduction or a softmax is given."""
    for keyword in node.keywords:
        if keyword.arg == "dim":
            return keyword.value
    position = 1 if isinstance(node.func, ast.Attribute) and text(node.func.value) in OWNERS else 0
    return node.args[position] if len(node.args) > position else None


def _other(dimension: ast.expr | None) -> str:
    if dimension is None or text(dimension) not in ("1", "-1", "2", "0", "-2"):
        return ""
    return "1" if text(dimension) in ("0", "-2") else "0"


@operator("a softmax over another dimension")
def softmax_dimension(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and method(node) in ("softmax", "log_softmax"):
        if dimension := _dimension(node):
            if other := _other(dimension):
                yield ((dimension, other),)
            if text(dimension) == "-1":
                yield ((dimension, "-2"),)


@operator("a mean, sum or maximum over another dimension")
def reduced_dimension(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and method(node) in ("mean", "sum", "amax", "std", "var", "logsumexp", "argmax"):
        if (dimension := _dimension(node)) and (other := _other(dimension)):
            yield ((dimension, other),)


@operator("`reshape` where dimensions must be swapped")
def reshaped(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and method(node) in ("transpose", "permute") and isinstance(node.func, ast.Attribute):
        if text(node.func.value) not in OWNERS:
            yield f"{owner(node.func.value)}.reshape({text(node)}.shape)"
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield f"{owner(node.value)}.reshape({text(node)}.shape)"


@operator("other dimensions are swapped by `transpose` or `permute`")
def other_permutation(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and method(node) in ("transpose", "permute") and len(node.args) > 1:
        yield ((node.args[0], text(node.args[1])), (node.args[1], text(node.args[0])))  # the same, for transpose
        yield ((node.args[0], "0"),)


@operator("one dimension more: `unsqueeze(-1)` behind a loss's target")
def target_with_dimension(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and len(node.args) > 1 and (_compares(node, program)):
        yield ((node.args[1], f"{owner(node.args[1])}.unsqueeze(-1)"),)


@operator("a `squeeze` is missing")
def unsqueezed(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and method(node) == "squeeze" and isinstance(node.func, ast.Attribute):
        if text(node.func.value) not in OWNERS:
            yield text(node.func.value)


@operator("a slice that shifts by one is shifted the other way")
def unshifted(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Slice) and node.step is None:
        lower, upper = (text(each) if each else "" for each in (node.lower, node.upper))
        if (lower, upper) == ("1", ""):
            yield ":-1"
        elif (lower, upper) == ("", "-1"):
            yield "1:"


def _compares(node: ast.Call, program: Program) -> bool:
    return method(node) in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss") or program.called.get(node) in (
        "MSELoss",
        "L1Loss",
        "SmoothL1Loss",
        "HuberLoss",
    )
