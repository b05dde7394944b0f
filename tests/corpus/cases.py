"""Finds and loads the corpus: a case is a file in a folder beside this one, with `buggy()` and `fixed()`."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
CASES = {
    f"{path.parent.name}/{path.stem}": path
    for path in sorted(HERE.glob("*/*.py"))
    if path.parent.name != "scripts" and not path.name.startswith(("test_", "__"))
}
MARKER = re.compile(r"# BUG(?P<unsure>\?)?: (?P<check>[a-z-]+)(?: (?P<subjects>[^#]+))?")


def expected(path: Path) -> dict[tuple[str, int], re.Match[str]]:
    """The markers of a file by (check, line)."""
    lines = enumerate(path.read_text().splitlines(), start=1)
    return {(marker["check"], number): marker for number, text in lines for marker in MARKER.finditer(text)}


def load(case: str) -> ModuleType:
    """The module of a case, as Python would import it."""
    path = CASES[case]
    spec = importlib.util.spec_from_file_location(f"corpus_{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
