"""Finds the functions in a user's file that build a `Training`.

The file is run under its own name, as an import would, and nothing is written beside it.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import sys
import types
from collections.abc import Callable
from importlib import import_module
from typing import Any

from smokestep.training import Training

WRITE = """write one, for example

    def training() -> smokestep.Training:
        model = Net()
        optimizer = torch.optim.Adam(model.parameters())
        def step(batch): ...          # one step, exactly as you train
        return smokestep.Training(step, batch)"""


class NoFactory(Exception):
    """The target names no file, or no function in it; the text says what to write."""


def load(target: str) -> list[Callable[[], Training]]:
    """The functions that `FILE` or `FILE:NAME` names, in the order of the file. Raises `NoFactory`."""
    file, colon, name = target.rpartition(":") if not os.path.exists(target) else (target, "", "")
    file = file or target
    if not os.path.isfile(file):
        raise NoFactory(f"there is no file {file!r} in {os.getcwd()}; expected FILE.py or FILE.py:NAME")
    module = _module(os.path.abspath(file))
    if colon:
        if not callable(getattr(module, name, None)):
            near = difflib.get_close_matches(name, [key for key, value in vars(module).items() if callable(value)])
            meant = f"; did you mean {', '.join(near)}?" if near else ""
            raise NoFactory(f"there is no function {name!r} in {file}{meant}")
        return [getattr(module, name)]
    found = [each for each in vars(module).values() if _builds(each, module)]
    if not found:
        raise NoFactory(
            f"{file} has no function without arguments that is annotated `-> smokestep.Training` or called "
            f"training or training_...; name one (FILE.py:NAME), or {WRITE}"
        )
    return found


def _builds(value: Any, module: types.ModuleType) -> bool:
    if not isinstance(value, types.FunctionType) or value.__module__ != module.__name__:
        return False
    needed = [each for each in inspect.signature(value).parameters.values() if each.default is each.empty]
    result = value.__annotations__.get("return")
    annotated = result is Training or (isinstance(result, str) and result.rpartition(".")[2] == "Training")
    named = value.__name__ == "training" or value.__name__.startswith("training_")
    return (annotated or named) and all(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in needed)


@functools.cache
def _module(file: str) -> types.ModuleType:
    folder, name = os.path.dirname(file), os.path.splitext(os.path.basename(file))[0]
    package: list[str] = []
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder, parent = os.path.split(folder)
        package.insert(0, parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if package:  # relative imports work only so
        return import_module(".".join([*package, name]))
    module = types.ModuleType(name)
    module.__file__ = file
    before = sys.modules.get(name)
    sys.modules[name] = module  # so that what it defines can be pickled
    try:
        with open(file, "rb") as source:
            exec(compile(source.read(), file, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        raise
    return module
