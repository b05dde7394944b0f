"""Faults of the loss: what it is given, in which order, how it is reduced, and its sign."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..program import Program, method
from .operator import Made, Node, operator, owner, text

SCALE = "the gradient's size is a matter of the learning rate"
SQUASHED = {
    "cross_entropy": "softmax(1)",
    "CrossEntropyLoss": "softmax(1)",
    "binary_cross_entropy_with_logits": "sigmoid()",
    "BCEWithLogitsLoss": "sigmoid()",
}


def kind(node: Node, program: Program) -> str:
    """The function or module that computes a loss: "cross_entropy", "MSELoss"; "" for any other node."""
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return ""
    module = program.called.get(node, "")
    if module.endswith("Loss"):
        return module
    name, root = method(node), text(node.func).split(".")[0]
    known = name.endswith(("_loss", "cross_entropy", "_with_logits", "kl_div"))
    return name if known and root in ("F", "torch", "nn") else ""


@operator("a softmax or sigmoid before a loss that has one")
def double_softmax(node: Node, program: Program) -> Iterator[Made]:
    if squash := SQUASHED.get(kind(node, program)):
        assert isinstance(node, ast.Call)
        yield ((node.args[0], f"{owner(node.args[0])}.{squash}"),)


@operator("a loss is given its target first", harmless="some losses are symmetrical")
def swapped_arguments(node: Node, program: Program) -> Iterator[Made]:
    if kind(node, program):
        assert isinstance(node, ast.Call)
        first, second = node.args[:2]
        yield ((first, text(second)), (second, text(first)))


@operator("the targets are those of the next sample, or of the next position")
def shifted_target(node: Node, program: Program) -> Iterator[Made]:
    if kind(node, program):
        assert isinstance(node, ast.Call)
        yield ((node.args[1], f"{owner(node.args[1])}.roll(1, -1)"),)


@operator("zeros for the target")
def zeros_for_target(node: Node, program: Program) -> Iterator[Made]:
    if kind(node, program):
        assert isinstance(node, ast.Call)
        yield ((node.args[1], f"torch.zeros_like({text(node.args[1])})"),)


@operator("the prediction is its own target")
def own_target(node: Node, program: Program) -> Iterator[Made]:
    if kind(node, program):
        assert isinstance(node, ast.Call)
        yield ((node.args[1], f"{owner(node.args[0])}.detach()"),)


@operator("a sum for a mean", harmless=SCALE)
def sum_for_mean(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call):
        if method(node) == "mean" and not node.args and not node.keywords and isinstance(node.func, ast.Attribute):
            yield f"{owner(node.func.value)}.sum()"
        elif "_" in kind(node, program) and not any(each.arg == "reduction" for each in node.keywords):
            yield f"{text(node)[:-1]}, reduction='sum')"


@operator("the loss is not divided: by the number of micro-batches, by a count", harmless=SCALE)
def undivided(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        statement = program.statement(node)
        if isinstance(statement, (ast.Assign, ast.Return)) and "loss" in text(statement):
            yield text(node.left)


@operator("a term of the loss is a number: `.item()`")
def item(node: Node, program: Program) -> Iterator[Made]:
    statement = program.statement(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and isinstance(statement, ast.Assign):
        if any("loss" in text(each).lower() for each in statement.targets):
            yield ((node.right, f"{owner(node.right)}.item()"),)
            yield ((node.left, f"{owner(node.left)}.item()"),)


@operator("the loss's sign is flipped")
def flipped_sign(node: Node, program: Program) -> Iterator[Made]:
    if method(node) == "backward":
        assert isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute) and text(node.func.value) != "torch.autograd":
            yield ((node.func.value, f"-{owner(node.func.value)}"),)


@operator("the loss is wrapped anew before `backward`")
def rewrapped_loss(node: Node, program: Program) -> Iterator[Made]:
    if method(node) == "backward":
        assert isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute) and text(node.func.value) != "torch.autograd":
            yield ((node.func.value, f"{owner(node.func.value)}.detach().requires_grad_()"),)
