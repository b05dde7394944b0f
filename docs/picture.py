"""Draws what `make demo` prints, for the README and the first page: run it again when the output changes.

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
    """Write docs/report.svg, and the text into README.md."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold]$ smokestep run {SCRIPTS[0]}[/]\n")
    report = Report.from_json(run(SCRIPTS[0], "--quiet", "--format", "json"))
    console.print(Text.from_ansi(cut(render(report, width=WIDTH, color=True), FINDINGS, len(report.findings))))
    picture = console.export_svg(title="smokestep", unique_id="report")
    # Without the fonts of a content network: the reader's own monospace will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (ROOT / "docs" / "report.svg").write_text(picture)
    readme = ROOT / "README.md"
    printed = "\n\n".join(f"$ smokestep run {script}\n{run(script).rstrip()}" for script in SCRIPTS)
    text = f"```console\n{printed}\n```"
    marked = re.compile(r"(<!-- demo -->\n).*?(<!-- /demo -->)", re.DOTALL)
    readme.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", readme.read_text()))


if __name__ == "__main__":
    main()
