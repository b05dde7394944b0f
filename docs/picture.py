"""Draws what `make demo` prints, and copies what was measured: for the README, to be run again when either changes.

    python docs/picture.py

The picture and the text come from real runs of `examples/digits.py` and its repaired twin.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from smokestep.render.text import render
from smokestep.report import Report

ROOT = Path(__file__).parents[1]
SCRIPTS = ("examples/digits.py", "examples/digits_fixed.py")
WIDTH = 100
FINDINGS = 2  # in the picture; the text has all of them


def run(script: str, *options: str) -> str:
    """What `smokestep run` prints, in a terminal of our width."""
    command = [sys.executable, "-m", "smokestep", "run", *options, script]
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment).stdout


def cut(text: str, findings: int, of: int) -> str:
    """The text up to and with its first findings."""
    blocks = text.split("\n\n")[: 1 + findings]
    return "\n\n".join([*blocks, f"… and {of - findings} more"] if of > findings else blocks)


def main() -> None:
    """Write docs/report.svg, and the output and the costs into README.md."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold]$ smokestep run {SCRIPTS[0]}[/]\n")
    report = Report.from_json(run(SCRIPTS[0], "--quiet", "--format", "json"))
    console.print(Text.from_ansi(cut(render(report, width=WIDTH, color=True), FINDINGS, len(report.findings))))
    picture = console.export_svg(title="smokestep", unique_id="report")
    # Without the fonts of a content network: the reader's own monospace will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (ROOT / "docs" / "report.svg").write_text(picture)
    printed = "\n\n".join(f"$ smokestep run {script}\n{run(script).rstrip()}" for script in SCRIPTS)
    between("demo", f"```console\n{printed}\n```")
    between("bench", costs())


def costs() -> str:
    """The first lines of docs/bench.md, up to the first table, and the fixed cost."""
    _, machine, first, *rest = (ROOT / "docs" / "bench.md").read_text().strip().split("\n\n")
    fixed = next(each for each in rest if each.startswith("Fixed cost"))
    more = "[What each column means, and what the aims were](docs/bench.md); `make bench` measures it again."
    return f"{first}\n\n{machine}\n{fixed}\n{more}"


def between(name: str, text: str) -> None:
    """Write the text between the two marks of that name in README.md."""
    readme = ROOT / "README.md"
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    readme.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", readme.read_text()))


if __name__ == "__main__":
    main()
