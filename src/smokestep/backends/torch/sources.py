"""Sources: what the user's source text says about a layer or an optimizer: where it is built, whether it is ever read.

Only plain syntax is trusted. Where an attribute could be reached in another way, the answer is "unknown", never "no".
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache

from torch import nn

from smokestep.backends.torch import frames
from smokestep.backends.torch.naming import Models, defined_in
from smokestep.findings import Line

DYNAMIC = frozenset(
    "getattr children named_children modules named_modules _modules vars __dict__ get_submodule".split()
)


def keeper(models: Models, module: nn.Module, name: str) -> tuple[nn.Module, str] | None:
    """The nearest module, this one or above, whose class is not the framework's, and its attribute that leads here."""
    path = models.paths[id(module)]
    chain = sorted(
        (each for key, each in models.modules.items() if _contains(models.paths[key], path)),
        key=lambda each: len(models.paths[id(each)]),
        reverse=True,
    )
    for each in chain:
        if defined_in(type(each)) is None:
            continue
        if each is module:
            return each, name.rpartition(".")[2]
        rest = path[len(models.paths[id(each)]) :].lstrip(".")
        return each, rest.split(".")[0]
    return None


def _contains(outer: str, inner: str) -> bool:
    return outer == inner or not outer or inner.startswith(outer + ".")


@cache
def built_at(kind: type, attribute: str) -> Line | None:
    """The line that assigns `self.attribute` (or registers it) in the class or one it inherits from."""
    for each in kind.__mro__:
        file = defined_in(each)
        body = _class(file, each) if file else None
        for node in ast.walk(body) if body else ():
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                flat = [e for t in targets for e in (t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t])]
                if any(isinstance(t, ast.Attribute) and t.attr == attribute for t in flat):
                    return frames.line_of((file, node.lineno))
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                if node.args[0].value == attribute and isinstance(node.func, ast.Attribute):
                    return frames.line_of((file, node.lineno))
    return None


@cache
def mentions(kind: type, attribute: str, files: tuple[str, ...]) -> tuple[Line, ...] | None:
    """The lines that read the attribute outside constructors, in the files of the class and in `files`; () means that
    nothing ever reads it, None that it cannot be told (it may be reached by iteration or by name)."""
    found: list[Line] = []
    sources = {file for each in kind.__mro__ if (file := defined_in(each))} | set(files)
    for file in sorted(sources):
        tree = frames.tree(file)
        if tree is None:
            return None
        skipped = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
            and node.name in ("__init__", "reset_parameters", "_init_weights", "extra_repr")
            for inner in ast.walk(node)
        }
        skipped |= {  # `self` of a class that this one does not inherit from is another object
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and node.name not in {each.__name__ for each in kind.__mro__}
            for inner in ast.walk(node)
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "self"
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.ctx, ast.Load):
                if id(node) not in skipped and (line := frames.line_of((file, node.lineno))):
                    found.append(line)
            elif isinstance(node, ast.Constant) and node.value == attribute and id(node) not in skipped:
                return None
            elif _name(node) in DYNAMIC and id(node) not in skipped:
                return None
    for file in sorted(_used_by(sources) - sources):  # a helper in a file of its own may read it
        for node in ast.walk(frames.tree(file) or ast.Module([], [])):
            if isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.ctx, ast.Load):
                if line := frames.line_of((file, node.lineno)):
                    found.append(line)
    return tuple(found)


def _used_by(files: set[str]) -> set[str]:
    """The user's own source files whose modules, functions or classes are known by name in these files."""
    found: set[str] = set()
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) not in files:
            continue
        for value in list(vars(module).values()):
            code = getattr(value, "__code__", None)
            name = code.co_filename if code is not None else getattr(value, "__file__", None)
            name = defined_in(value) if isinstance(value, type) else name
            if isinstance(name, str) and name.endswith(".py") and frames.kind_of_file(name) == frames.USER:
                found.add(name)
    return found


def forget() -> None:
    """Let go of the user's classes; the next examination reads their source anew."""
    for kept in (built_at, mentions, _class):
        kept.cache_clear()


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@cache
def _class(file: str, kind: type) -> ast.ClassDef | None:
    tree = frames.tree(file)
    named = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == kind.__name__] if tree else []
    return named[-1] if named else None


def forward_line(module: nn.Module) -> Line | None:
    """The `def forward` line of a model, unless it is the framework's own."""
    forward = inspect.unwrap(getattr(type(module), "forward", None) or (lambda: None))
    code = getattr(forward, "__code__", None)
    if code is None or frames.kind_of_file(code.co_filename) == frames.SKIP:
        return None
    return frames.line_of((code.co_filename, code.co_firstlineno))


def filtered(line: Line | None) -> bool:
    """Whether the parameters handed over on this line (an optimizer's construction) were picked by a condition."""
    tree = frames.tree(line.file) if line else None
    if tree is None or line is None:
        return False
    calls = [
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.lineno <= line.line <= (n.end_lineno or n.lineno)
    ]
    names = {
        n.id
        for call in calls
        for arg in [*call.args, *(k.value for k in call.keywords)]
        for n in ast.walk(arg)
        if isinstance(n, ast.Name)
    }
    if any(_picks(call) for call in calls):
        return True
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id in names for t in node.targets)
            and _picks(node.value)
        ):
            return True
        if isinstance(node, ast.If):
            for inner in ast.walk(node):
                if (
                    isinstance(inner, ast.Call)
                    and isinstance(inner.func, ast.Attribute)
                    and inner.func.attr in ("append", "extend", "add")
                ):
                    if isinstance(inner.func.value, ast.Name) and inner.func.value.id in names:
                        return True
    return False


def _picks(tree: ast.AST) -> bool:
    """Whether something is picked by a condition; `if p.requires_grad` picks all that can train, which is no choice."""
    conditions: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.comprehension):
            conditions += node.ifs
        elif isinstance(node, ast.Call) and _name(node.func) == "filter" and node.args:
            conditions.append(node.args[0].body if isinstance(node.args[0], ast.Lambda) else node.args[0])
    return any(not (isinstance(each, ast.Attribute) and each.attr == "requires_grad") for each in conditions)
