"""Finds, reads and loads the ports: a port is a file in `so/` or `github/`, with `buggy()` and `fixed()`.

The docstring says in its first paragraph what is wrong, then `Source:` and `Symptom:`. `# FAULT` marks the lines that
the fix changes; for a layer in a container also the line that runs it; and where the fault is an absence, the line that
goes wrong for the want of the missing one.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
PORTS = {
    f"{path.parent.name}/{path.stem}": path
    for folder in ("so", "github")
    for path in sorted((HERE / folder).glob("*.py"))
    if not path.name.startswith("__")
}
MARKER = re.compile(r"# FAULT\b")
FIELD = re.compile(r"^(Source|Symptom): (.+?)(?=\n\n|\n(?:Source|Symptom): |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Told:
    """What a port says of itself: the fault in a sentence, who reported it, and what was seen."""

    fault: str
    source: str
    symptom: str


def told(name: str) -> Told:
    """The docstring of a port, in its parts; a part that is missing is empty."""
    text = ast.get_docstring(ast.parse(PORTS[name].read_text())) or ""
    fields = {field: " ".join(value.split()) for field, value in FIELD.findall(text)}
    fault = " ".join(text.split("\n\n")[0].split())
    return Told(fault, fields.get("Source", ""), fields.get("Symptom", ""))


def marked(name: str) -> frozenset[int]:
    """The numbers of the lines that carry the fault."""
    lines = enumerate(PORTS[name].read_text().splitlines(), start=1)
    return frozenset(number for number, text in lines if MARKER.search(text))


def load(name: str) -> ModuleType:
    """The module of a port, as Python would import it."""
    path = PORTS[name]
    spec = importlib.util.spec_from_file_location(f"ports_{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
