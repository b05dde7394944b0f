"""Findings are told in the words of JAX: no sentence of a check that JAX can fail, or of its evidence, is left with a
word that only PyTorch knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("jax")

import smokestep
from smokestep.backends.gaps import JAX
from smokestep.backends.jax.words import WORDS

SOURCE = Path(smokestep.__file__).parent
TORCH = re.compile(
    r"detach|zero_grad|requires_grad|(?<!jax\.)\bnn\.|\bF\.|torch|backward\(|\.step\(|train\(\)|eval\(\)|no_grad|state_dict|\.data\b"
    r"|autograd|masked_fill|unsqueeze|\bdim=|\btensor\b|track_running_stats|rsample|log_prob\b|scheduler"
)
# What JAX never says: verdicts without a finding, names of experiments, tables of names of operations.
SILENT = (
    "has another meaning than PyTorch's: `model.train()` and `model.eval()` call it, and switch nothing",
    "no model of the user's was called with a tensor",
    "train() and eval() called, and one call made to see which layers they reach",
)


def sentences(path: Path) -> Iterator[str]:
    """The texts of a file with a blank in them, its docstrings left out; what is filled in is `{}`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)):
            if node.body and isinstance(node.body[0], ast.Expr):
                left_out.add(id(node.body[0].value))
        elif isinstance(node, ast.JoinedStr):
            left_out.update(map(id, node.values))
            parts = [each.value if isinstance(each, ast.Constant) else "{}" for each in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
            left_out.add(id(node.func.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            if id(node) not in left_out:
                yield node.value


def files() -> list[Path]:
    checks = [p for p in sorted(SOURCE.glob("checks/*/*.py")) if p.stem.replace("_", "-") not in JAX]
    return [*checks, *sorted(SOURCE.glob("evidence/*.py"))]


def test_no_sentence_is_left_with_a_word_of_torch() -> None:
    left = []
    for path in files():
        for text in sentences(path):
            told = text
            for phrase, instead in WORDS:
                told = told.replace(phrase, instead)
            if TORCH.search(told) and text not in SILENT and not text.startswith("explains"):
                left.append(f"{path.relative_to(SOURCE)}: {told}")
    assert not left, "\n".join(left)


def test_every_phrase_occurs() -> None:
    texts = [
        text
        for path in sorted(SOURCE.glob("checks/*/*.py")) + sorted(SOURCE.glob("evidence/*.py"))
        for text in [*sentences(path), path.read_text(encoding="utf-8")]
    ]
    named = ("`to` gives ", "` dim=", "`rnn_tanh`")  # the name of an operation is filled in
    missing = [phrase for phrase, _ in WORDS if phrase not in named and not any(phrase in text for text in texts)]
    assert not missing, missing
