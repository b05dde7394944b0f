"""Draws what `make demo` prints, for the README and the first page: run it again when the output changes.

    python docs/picture.py

The picture and the text come from one real run of `examples/digits.py`.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from smokestep.render.text import render
from smokestep.report import Report

ROOT = Path(__file__).parents[1]
COMMAND = "smokestep run examples/digits.py"
WIDTH = 100
FINDINGS = 2  # in the picture; the text has all of them


def demo() -> Report:
    """The report of one run of the example, as `make demo` makes it."""
    command = [sys.executable, "-m", *COMMAND.replace("run", "run --quiet --format json", 1).split()]
    return Report.from_json(subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout)


def shown(report: Report, *, color: bool) -> str:
    """The report as the terminal shows it, with paths from the root of the project."""
    return render(report, width=WIDTH, color=color)


def cut(text: str, findings: int) -> str:
    """The text up to and with its first findings."""
    blocks = text.split("\n\n")
    rest = len(blocks) - 1 - findings
    return "\n\n".join(blocks[: 1 + findings]) + (f"\n\n… and {rest} more" if rest > 0 else "")


def main() -> None:
    """Write docs/report.svg, and the text into README.md."""
    report = demo()
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold]$ {COMMAND}[/]\n")
    console.print(Text.from_ansi(cut(shown(report, color=True), FINDINGS)))
    picture = console.export_svg(title="smokestep", unique_id="report")
    # Without the fonts of a content network: the reader's own monospace will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (ROOT / "docs" / "report.svg").write_text(picture)
    readme = ROOT / "README.md"
    text = f"```text\n$ {COMMAND}\n\n{shown(report, color=False)}\n```"
    marked = re.compile(r"(<!-- demo -->\n).*?(<!-- /demo -->)", re.DOTALL)
    readme.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", readme.read_text()))


if __name__ == "__main__":
    main()
