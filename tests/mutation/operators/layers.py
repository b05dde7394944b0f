"""Faults of how a network is built: wrong starting values, layers nobody registers, modes, activations left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..program import Program, method
from .operator import Made, Node, operator, owner, text

LAYERS = {"Linear", "Conv1d", "Conv2d", "ConvTranspose2d", "Embedding", "GRU", "LSTM", "RNN", "GRUCell", "LSTMCell"} | {
    "LayerNorm", "BatchNorm1d", "BatchNorm2d", "MultiheadAttention", "Bilinear", "TransformerEncoderLayer", "GroupNorm",
}  # fmt: skip
WEIGHTED = {"Linear", "Conv1d", "Conv2d", "ConvTranspose2d", "Embedding", "Bilinear"}
ACTIVATIONS = {"relu", "gelu", "tanh", "sigmoid", "silu", "elu", "leaky_relu", "softplus"}
MODULES = {"ReLU", "GELU", "Tanh", "Sigmoid", "SiLU", "ELU", "LeakyReLU", "Softplus"}
SIMPLER = "a network with fewer activations is a network"


def _built(node: Node, kinds: set[str]) -> bool:
    return isinstance(node, ast.Call) and method(node) in kinds and text(node.func).startswith(("nn.", "torch.nn."))


@operator(
    "a layer is frozen where it is built", harmless="a frozen layer may be meant, where the optimizer is given all"
)
def frozen(node: Node, program: Program) -> Iterator[Made]:
    if _built(node, LAYERS):
        yield f"{text(node)}.requires_grad_(False)"


@operator("a layer's weight begins as zeros", harmless="a residual branch, a gate or a last layer may begin at zero")
def zero_weight(node: Node, program: Program) -> Iterator[Made]:
    if _built(node, WEIGHTED):
        yield f"(made := {text(node)}, nn.init.zeros_(made.weight))[0]"


@operator("a layer's weight begins as one constant", harmless="a last layer may begin with equal rows")
def constant_weight(node: Node, program: Program) -> Iterator[Made]:
    if _built(node, WEIGHTED):
        yield f"(made := {text(node)}, nn.init.constant_(made.weight, 0.1))[0]"


@operator("an activation is left out", harmless=SIMPLER)
def removed_activation(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and method(node) in ACTIVATIONS and isinstance(node.func, ast.Attribute):
        before = text(node.func.value)
        if before in ("F", "torch", "nn.functional") and node.args:
            yield text(node.args[0])
        elif before not in ("F", "torch", "nn.functional", "nn", "nn.init") and not before.startswith("self."):
            yield before
    elif isinstance(node, ast.Call) and program.called.get(node) in MODULES and node.args:
        yield text(node.args[0])
    elif _built(node, MODULES):
        yield "nn.Identity()"


@operator("modules or a parameter in a plain attribute: `list`, `dict`, a tensor that requires gradient")
def unregistered(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call) and node.args:
        given = text(node.args[0])
        match method(node):
            case "ModuleList":
                yield f"list({given})"
            case "ModuleDict":
                yield f"dict({given})"
            case "Parameter" if isinstance(program.parents[node], ast.Assign):
                yield f"({given}).requires_grad_()"


@operator("a model trains in evaluation mode", harmless="some do so on purpose; only dropout and norms see it")
def evaluation_mode(node: Node, program: Program) -> Iterator[Made]:
    if (
        isinstance(node, ast.Call)
        and method(node) == "train"
        and not node.args
        and isinstance(node.func, ast.Attribute)
    ):
        yield f"{owner(node.func.value)}.eval()"
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Call):
        name, function = node.targets[0].id, program.function(node)
        used = {text(each) for each in ast.walk(function) if isinstance(each, ast.Call)} if function else set()
        if f"{name}.parameters()" in used and f"{name}.train()" not in used:
            yield ((node.value, f"{owner(node.value)}.eval()"),)


@operator("a mask is left out", harmless="a mask that hides nothing that is read may be left out")
def removed_mask(node: Node, program: Program) -> Iterator[Made]:
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == "is_causal" or (keyword.arg or "").endswith("mask"):
                yield ((keyword.value, "False" if keyword.arg == "is_causal" else "None"),)
        if method(node) == "masked_fill" and isinstance(node.func, ast.Attribute):
            yield text(node.args[0] if text(node.func.value) == "torch" else node.func.value)
    elif (
        isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Add)) and "mask" in text(node.right).lower()
    ):
        yield text(node.left)


@operator("a causal mask looks the other way: `tril` and `triu` exchanged, or a mask inverted")
def inverted_mask(node: Node, program: Program) -> Iterator[Made]:
    other = {"tril": "triu", "triu": "tril"}
    if isinstance(node, ast.Call) and method(node) in other and isinstance(node.func, ast.Attribute):
        yield ((node.func, f"{owner(node.func.value)}.{other[node.func.attr]}"),)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert) and "mask" in text(node.operand).lower():
        yield text(node.operand)
