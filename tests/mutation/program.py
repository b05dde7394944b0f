"""A zoo entry as a program: its text, the lines that run in it, and the calls that call a module.

What runs is watched once, without smokestep, so that a mutant is never made of a line that the entry does not reach.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

import smokestep
from smokestep import privacy

from ..zoo import entries as zoo
from ..zoo import registry
from ..zoo.plain import children
from ..zoo.registry import Entry

FOLDER = Path(zoo.__file__).parent
PURE = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.UnaryOp, ast.USub, ast.Load)


@contextmanager
def loaded(source: str, name: str) -> Iterator[Entry]:
    """The entry of that name in a fresh module made of `source`, whose lines can be found as long as the block runs."""
    file = os.path.abspath(f"mutant_{hashlib.sha256(source.encode()).hexdigest()[:12]}.py")
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module = ModuleType(file)
    module.__file__, module.__package__ = file, zoo.__name__
    sys.modules[file] = module
    registered, registry._REGISTERED = registry._REGISTERED, {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(source, file, "exec"), vars(module))
            entry = registry._REGISTERED[name]
            registry._REGISTERED = registered
            yield entry
    finally:
        registry._REGISTERED = registered
        del sys.modules[file], linecache.cache[file]


def tensors(root: Any) -> dict[str, torch.Tensor]:
    """A copy of every parameter, buffer and loose tensor that `root` holds on to, with the path that leads there."""
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()

    def walk(thing: Any, path: str) -> None:
        if id(thing) in seen or len(path) > 400:
            return
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            if not thing.is_meta:
                found[path] = thing.detach().clone()
        elif isinstance(thing, nn.Module):
            for name, tensor in (*thing.named_parameters(), *thing.named_buffers()):
                walk(tensor, f"{path}.{name}")
            for name, value in vars(thing).items():
                if not name.startswith("_"):
                    walk(value, f"{path}.{name}")
        elif isinstance(thing, torch.optim.Optimizer):
            for i, group in enumerate(thing.param_groups):
                walk(group["params"], f"{path}.{i}")
        else:
            for name, inner in children(thing):
                walk(inner, f"{path}.{name}")

    walk(root, "")
    return found


def ran(entry: Entry) -> dict[str, torch.Tensor]:
    """Every tensor that the training holds after its steps, run as they are; raises what they raise."""
    with privacy.guard(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        privacy.seed_everything(0)
        training: smokestep.Training = entry.build()
        for _ in range(entry.steps):
            for step in training.steps.values():
                step(*((training.batch,) if training.has_batch else ()))
        return tensors((training.steps, training.model))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two runs ended bit by bit alike."""
    return one.keys() == other.keys() and all(
        one[path].dtype == other[path].dtype and torch.equal(one[path], other[path]) for path in one
    )


@dataclass(frozen=True)
class Program:
    """One entry. `executed`: the lines that run in it; `called`: the class of the module that a call calls, by node."""

    name: str
    source: str
    tree: ast.Module
    executed: frozenset[int] = frozenset()
    called: dict[ast.Call, str] = field(default_factory=dict)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def nodes(self) -> list[ast.expr | ast.stmt]:
        """What runs, in the order of the text; nothing inside an f-string, whose positions mean nothing."""
        reached = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, (ast.expr, ast.stmt))
            and not self.executed.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            and self.function(node) is not None
            and not any(isinstance(each, ast.JoinedStr) for each in self.above(node))
        ]
        return sorted(reached, key=lambda node: (node.lineno, node.col_offset))

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The node and what stands around it, innermost first."""
        around: ast.AST | None = node
        while around is not None:
            yield around
            around = self.parents.get(around)

    def function(self, node: ast.AST) -> ast.FunctionDef | None:
        """The innermost function around a node."""
        return next((each for each in self.above(self.parents[node]) if isinstance(each, ast.FunctionDef)), None)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement around a node."""
        return next(each for each in self.above(node) if isinstance(each, ast.stmt))

    def lines(self, *methods: str) -> set[int]:
        """The lines that run and call a method of one of these names."""
        return {node.lineno for node in self.nodes if isinstance(node, ast.Call) and method(node) in methods}


def method(call: ast.AST) -> str:
    """The last name of what is called: "step" of `self.optimizer.step()`, "" if it is no such call."""
    if not isinstance(call, ast.Call):
        return ""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def watched(file: str, name: str) -> Program:
    """The entry of that name in a file of the zoo, as a program that was run once; raises what it raises."""
    source = (FOLDER / file).read_text()
    tree = ast.parse(source)
    executed: set[int] = set()
    called: dict[ast.Call, str] = {}
    by_line: dict[int, list[ast.Call]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and all(isinstance(each, PURE) for each in ast.walk(node.func)):
            for line in range(node.lineno, (node.end_lineno or 0) + 1):
                by_line.setdefault(line, []).append(node)
    codes: dict[ast.Call, CodeType] = {}

    with loaded(source, name) as entry:
        own = entry.build.__code__.co_filename

        def lines(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
            executed.add(frame.f_lineno)
            return lines

        def calls(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
            return lines if frame.f_code.co_filename == own else None

        def heard(module: nn.Module, inputs: object) -> None:
            frame: FrameType | None = sys._getframe()
            while frame is not None and frame.f_code.co_filename != own:
                frame = frame.f_back
            for node in by_line.get(frame.f_lineno, ()) if frame else ():
                code = codes.setdefault(node, compile(ast.Expression(node.func), "call", "eval"))
                try:
                    if eval(code, frame.f_globals, frame.f_locals) is module:
                        called[node] = type(module).__name__
                except Exception:  # another call on this line, whose names are not all bound yet
                    continue

        handle = register_module_forward_pre_hook(heard)
        before = sys.gettrace()
        sys.settrace(calls)
        try:
            ran(entry)
        finally:
            sys.settrace(before)
            handle.remove()
    return Program(name, source, tree, frozenset(executed), called)
