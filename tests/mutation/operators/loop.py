"""Faults of the loop: a call is missing or stands in the wrong place, or the optimizer holds something else."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..program import Program, method
from .operator import Made, Node, at, operator, text

OPTIMIZERS = {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam", "RAdam", "Adamax", "Rprop", "LBFGS"}


def _statement(node: Node, name: str) -> str:
    """The owner of a method that a statement calls and nothing else: "optimizer" of `optimizer.step()`."""
    if isinstance(node, ast.Expr) and method(node.value) == name and isinstance(node.value, ast.Call):
        return text(node.value.func.value) if isinstance(node.value.func, ast.Attribute) else ""
    return ""


def _stepped(node: Node, program: Program) -> list[ast.stmt]:
    """The statements that step an optimizer behind a node, in its own function."""
    function = program.function(node)
    return [
        each
        for each in (ast.walk(function) if function else ())
        if isinstance(each, ast.Expr) and "opt" in _statement(each, "step").lower() and each.lineno > node.lineno
    ]


def _optimizer(node: Node) -> bool:
    return isinstance(node, ast.Call) and method(node) in OPTIMIZERS


@operator("`zero_grad` is missing", shows=at("backward", "step"))
def no_zero_grad(node: Node, program: Program) -> Iterator[Made]:
    if _statement(node, "zero_grad"):
        yield "pass"


@operator("`zero_grad` between `backward` and `step`", shows=at("backward", "step"))
def cleared(node: Node, program: Program) -> Iterator[Made]:
    if _statement(node, "backward") and (steps := _stepped(node, program)):
        yield f"{text(node)}; {_statement(steps[0], 'step')}.zero_grad()"


@operator("`optimizer.step()` is missing", shows=at("backward", "zero_grad"))
def no_step(node: Node, program: Program) -> Iterator[Made]:
    if "opt" in _statement(node, "step").lower():
        yield "pass"


@operator("`optimizer.step` is not called", shows=at("backward", "zero_grad"))
def step_not_called(node: Node, program: Program) -> Iterator[Made]:
    if "opt" in _statement(node, "step").lower():
        yield f"{_statement(node, 'step')}.step"


@operator("`backward` is missing", shows=at("step", "zero_grad"))
def no_backward(node: Node, program: Program) -> Iterator[Made]:
    if _statement(node, "backward"):
        yield "pass"


@operator("`step` and `backward` exchanged", shows=at("backward", "step"))
def early_step(node: Node, program: Program) -> Iterator[Made]:
    if _statement(node, "backward") and (steps := _stepped(node, program)):
        yield ((node, text(steps[0])), (steps[0], text(node)))


@operator("the optimizer is not given the first layer", harmless="a part may be meant to stay as it is")
def part_of_parameters(node: Node, program: Program) -> Iterator[Made]:
    if method(node) == "parameters" and any(map(_optimizer, _around(node, program))):
        yield f"list({text(node)})[2:]"


@operator("the optimizer is given the parameters of a copy")
def parameters_of_copy(node: Node, program: Program) -> Iterator[Made]:
    if method(node) == "parameters" and any(map(_optimizer, _around(node, program))):
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        yield f"__import__('copy').deepcopy({text(node.func.value)}).parameters()"


def _around(node: Node, program: Program) -> list[ast.expr]:
    return [each for each in program.above(node) if isinstance(each, ast.expr)]


def _rate(node: Node, other: str) -> Iterator[Made]:
    if _optimizer(node):
        assert isinstance(node, ast.Call)
        given = next((each.value for each in node.keywords if each.arg == "lr"), None)
        if given is not None:
            yield ((given, other.format(text(given))),)
        elif len(node.args) == 1:
            yield f"{text(node)[:-1]}, lr={other.format('0.001')})"


@operator("a learning rate of zero")
def zero_rate(node: Node, program: Program) -> Iterator[Made]:
    yield from _rate(node, "0.0 * {}")


@operator("a learning rate a thousand times as large")
def thousandfold_rate(node: Node, program: Program) -> Iterator[Made]:
    yield from _rate(node, "1000 * {}")


@operator("a learning rate a millionth of what it was")
def tiny_rate(node: Node, program: Program) -> Iterator[Made]:
    yield from _rate(node, "1e-06 * {}")


@operator("the optimizer climbs: `maximize=True`")
def maximized(node: Node, program: Program) -> Iterator[Made]:
    if _optimizer(node) and method(node) != "LBFGS":
        yield f"{text(node)[:-1]}, maximize=True)"


@operator("every step seeds the generator", harmless="nothing but noise and dropout sees it")
def seeded_step(node: Node, program: Program) -> Iterator[Made]:
    if _statement(node, "zero_grad") and isinstance(program.parents[node], ast.FunctionDef):
        yield f"torch.manual_seed(0); {text(node)}"
