"""Faults of a value on its way to the loss: its gradient is cut, it is dropped, or another one is read in its place."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from ..program import Program
from .operator import Made, Node, operator, text


def _layer(node: Node, program: Program) -> bool:
    """Whether a node calls a module with a value, and the result is a value too: no loss."""
    return isinstance(node, ast.Call) and bool(node.args) and not program.called.get(node, "Loss").endswith("Loss")


def _built(node: Node, program: Program) -> set[int]:
    """The lines that assign the module which a call calls."""
    name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return _assigns(program.tree, lambda target: isinstance(target, ast.Attribute) and target.attr == name)


def _read(node: Node, program: Program) -> set[int]:
    """The lines that assign what a call is given, and now nobody reads."""
    given = node.args[0] if isinstance(node, ast.Call) else node
    return _assigns(program.function(node), lambda target: isinstance(given, ast.Name) and text(target) == given.id)


def _assigns(tree: ast.AST | None, wanted: Callable[[ast.AST], bool]) -> set[int]:
    assigned = [each for each in ast.walk(tree or ast.Module([], [])) if isinstance(each, ast.Assign)]
    parts = {each: [part for target in each.targets for part in ast.walk(target)] for each in assigned}
    return {each.lineno for each, targets in parts.items() if any(map(wanted, targets))}


@operator("`.detach()` behind a layer")
def detached(node: Node, program: Program) -> Iterator[Made]:
    if _layer(node, program):
        yield f"{text(node)}.detach()"


@operator("`.data` of a layer's result")
def data(node: Node, program: Program) -> Iterator[Made]:
    if _layer(node, program):
        yield f"{text(node)}.data"


@operator("a layer's result goes through NumPy and back")
def through_numpy(node: Node, program: Program) -> Iterator[Made]:
    if _layer(node, program):
        yield f"torch.from_numpy({text(node)}.detach().numpy())"


@operator("a layer's result goes through a list and back")
def through_list(node: Node, program: Program) -> Iterator[Made]:
    if _layer(node, program):
        yield f"torch.tensor({text(node)}.tolist())"


@operator("a statement that calls a layer stands under `no_grad`")
def under_no_grad(node: Node, program: Program) -> Iterator[Made]:
    simple = isinstance(node, (ast.Assign, ast.AugAssign, ast.Return))
    if simple and any(_layer(each, program) for each in ast.walk(node) if isinstance(each, ast.expr)):
        yield f"with torch.no_grad(): {text(node)}"


@operator("the result of a layer's call is not assigned")
def dropped_result(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        if any(_layer(each, program) for each in ast.walk(node.value) if isinstance(each, ast.expr)):
            yield text(node.value)


@operator("a layer is left out: its input goes on", harmless="a network with fewer layers is a network", shows=_built)
def skipped_layer(node: Node, program: Program) -> Iterator[Made]:
    function = program.function(node)
    if _layer(node, program) and function is not None and function.name.startswith("forward"):
        assert isinstance(node, ast.Call)
        yield text(node.args[0])


@operator("a layer reads what its function was given, not what the line before made", shows=_read)
def old_input(node: Node, program: Program) -> Iterator[Made]:
    if _layer(node, program):
        assert isinstance(node, ast.Call)
        function = program.function(node)
        given = [each.arg for each in function.args.args if each.arg != "self"] if function else []
        if given and isinstance(node.args[0], ast.Name) and node.args[0].id != given[0]:
            yield ((node.args[0], given[0]),)


@operator("a model is given zeros for its input")
def zeros_for_input(node: Node, program: Program) -> Iterator[Made]:
    function = program.function(node)
    if _layer(node, program) and function is not None and not function.name.startswith("forward"):
        assert isinstance(node, ast.Call)
        yield ((node.args[0], f"torch.zeros_like({text(node.args[0])})"),)


@operator("the shortcut of a residual sum is left out", harmless="a network without residuals is a network")
def removed_residual(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.left, ast.Name):
        calls = [each for each in ast.walk(node.right) if isinstance(each, ast.Call) and each in program.called]
        if calls and any(isinstance(each, ast.Name) and each.id == node.left.id for each in ast.walk(node.right)):
            yield text(node.right)


@operator("a `detach()`, or a `no_grad` around a value, is missing", harmless="some are there only to save memory")
def undetached(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "detach":
            yield text(node.func.value)
        elif node.func.attr == "no_grad" and isinstance(program.parents[node], ast.withitem):
            yield "torch.enable_grad()"
