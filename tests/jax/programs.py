"""Finds and loads the programs of a folder, as Python would import them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.corpus.cases import expected

import smokestep

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CORPUS = {f"{path.parent.name}/{path.stem}": path for path in sorted((HERE / "corpus").glob("*/*.py"))}
ZOO = sorted((HERE / "zoo").glob("*.py"))
PAGES = ROOT / "docs" / "frameworks" / "jax"

__all__ = ["CORPUS", "PAGES", "ROOT", "ZOO", "expected", "load", "told", "trainings"]


def load(path: Path) -> ModuleType:
    """The module of a file; each file is imported once."""
    name = "jax_" + "_".join(path.relative_to(ROOT).with_suffix("").parts).replace("-", "_")
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trainings(path: Path) -> dict[str, Callable[[], Any]]:
    """The functions of a file that each build one training, by name."""
    return {name: each for name, each in vars(load(path)).items() if name.startswith("training_")}


def told(report: smokestep.Report) -> list[str]:
    """The findings in one line each, for a readable failure."""
    return [f"{each.severity} {each.check} {each.where.path} caused at {each.cause}" for each in report.findings]
