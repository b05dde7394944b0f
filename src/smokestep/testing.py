"""Testing, for those who add to smokestep: runs the examples on a check's page, and holds a backend to the facts.

An example runs as a user's own file would: its source lies in a real file while it runs, so lines can be shown.
"""

from __future__ import annotations

import linecache
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from smokestep.check import Check, CheckError
from smokestep.engine import examine
from smokestep.findings import Line
from smokestep.report import Report

HEADINGS = ("What it finds", "Why it matters", "Bad", "Good", "When to allow it", "Source")
PRELUDE = """\
import torch, smokestep
from torch import nn
import torch.nn.functional as F
"""
_EXAMPLE = re.compile(r"^## (Bad|Good)\n.*?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(check: Check) -> dict[str, str]:
    """The code under `## Bad` and under `## Good` on the page of a check.

    Raises `CheckError` if a heading of the page is missing, or out of order, or one of the two holds no code.
    """
    found = tuple(re.findall(r"^## (.+)$", check.page, re.MULTILINE))
    if found != HEADINGS:
        raise CheckError(f"{check.name}: its page must have the headings {HEADINGS}, in this order; it has {found}")
    code: dict[str, str] = dict(_EXAMPLE.findall(check.page))
    if set(code) != {"Bad", "Good"}:
        raise CheckError(f"{check.name}: both `## Bad` and `## Good` need a ```python block")
    return code


def run_example(code: str, name: str, **choices: Any) -> Report:
    """Examine the function `training` that `code` defines, as a file called `name`.py; `choices` are `examine`'s."""
    with _file(code, name) as module:
        if not callable(getattr(module, "training", None)):
            raise ValueError(f"the example {name} must define a function `training` that returns a smokestep.Training")
        return examine(module.training, **choices)


def inside(line: Line | None, name: str) -> bool:
    """Whether a line lies in the example called `name`."""
    return line is not None and Path(line.file).name == f"{name}.py"


@contextmanager
def _file(code: str, name: str) -> Iterator[ModuleType]:
    with tempfile.TemporaryDirectory(prefix="smokestep-example-") as folder:
        path = Path(folder).resolve() / f"{name}.py"
        path.write_text(code, encoding="utf-8")
        module = ModuleType(name)
        module.__file__ = str(path)
        exec(PRELUDE, vars(module))
        sys.modules[name] = module
        try:
            exec(compile(code, str(path), "exec"), vars(module))
            yield module
        finally:
            del sys.modules[name]
            # The report may be shown when the file is gone; an entry without a time is kept as it is.
            linecache.cache[str(path)] = (len(code), None, code.splitlines(keepends=True), str(path))
