"""Finds and loads the Keras and TensorFlow programs: the corpus and the zoo beside this file, and the pages' examples."""

from __future__ import annotations

import gc
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs" / "frameworks" / "keras"
CORPUS = {f"{path.parent.name}/{path.stem}": path for path in sorted(HERE.glob("corpus/*/*.py"))}
ZOO = {
    f"{path.stem}.{name}": (path, name)
    for path in sorted(HERE.glob("zoo/*.py"))
    for name in re.findall(r"^def (training_\w+)\(\)", path.read_text(), re.MULTILINE)
}
EXAMPLES = {path.parent.name: path.parent for path in sorted(PAGES.glob("*/bad.py"))}


def load(path: Path) -> ModuleType:
    """The module of a program, as Python would import it, made once."""
    name = f"keras_{path.parent.name}_{path.stem}".replace("-", "_")
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def factory(path: Path, name: str) -> Callable[[], Any]:
    """A function of a program that builds a training; what the one before it left behind is let go first."""
    gc.collect()
    built: Callable[[], Any] = getattr(load(path), name)
    return built
