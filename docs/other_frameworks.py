"""What each framework's backend judges: the parts of check pages and the table that say it, read off the code.

An example in another framework than PyTorch is a pair of files in `docs/frameworks/`, which tests run; a gap is a row
of `smokestep.backends.gaps`, which tests prove.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from smokestep.backends import gaps
from smokestep.check import Check
from smokestep.checks import load
from smokestep.findings import NotApplicable, Open

FOLDER = Path(__file__).parent / "frameworks"
OTHERS: Mapping[str, tuple[str, Mapping[str, Open | NotApplicable]]] = {
    "jax": ("JAX", gaps.JAX),
    "keras": ("Keras and TensorFlow", gaps.TENSORFLOW),
}
COLUMNS = (*OTHERS.values(), ("TensorFlow 1", gaps.SESSIONS))  # a session's graph is judged from its own evidence


def example(framework: str, check: Check, which: str) -> Path:
    """The file that holds the `bad` or `good` example of a check in a framework; it need not exist."""
    return FOLDER / framework / check.name / f"{which}.py"


def on_page(check: Check) -> Iterator[str]:
    """The part of a check's page for each other framework: its examples, or why it is not judged there."""
    for framework, (title, table) in OTHERS.items():
        yield f"## In {title}\n"
        if (gap := table.get(check.name)) is not None:
            yield f"{said(gap)[0].capitalize()}: {gap.reason}.\n"
        for which in ("bad", "good"):
            if (path := example(framework, check, which)).exists():
                yield f"{which.capitalize()}:\n\n```python\n{path.read_text()}```\n"
        if gap is None and not example(framework, check, "bad").exists():
            yield "Judged as in PyTorch.\n"


def said(gap: Open | NotApplicable) -> tuple[str, str]:
    """The verdict of a gap in words, and in one."""
    return ("not applicable", "–") if isinstance(gap, NotApplicable) else ("not judged yet", "open")


def table() -> str:
    """Every check, and whether each backend judges it; the reasons below."""
    text = (
        "# What is judged in which framework\n\nThe same checks read the same evidence, whatever framework gave it. "
        "`yes`: judged. `open`: the fault exists there and is not seen yet, so the "
        "verdict is `open`, never `pass`. `–`: not applicable, what it is about does not exist there.\n"
    )
    reasons = ""
    for family, checks in groupby(load(), key=lambda each: each.family):
        text += f"\n## {family}\n\n| check | PyTorch | {' | '.join(title for title, _ in COLUMNS)} |\n"
        text += "| --- " * (2 + len(COLUMNS)) + "|\n"
        for check in checks:
            cells = [said(gap)[1] if (gap := gaps.get(check.name)) else "yes" for _, gaps in COLUMNS]
            text += f"| [`{check.name}`](../checks/{check.name}.md) | yes | {' | '.join(cells)} |\n"
    for title, listed in COLUMNS:
        reasons += f"\n## Not judged in {title}\n\n| check | verdict | why |\n| --- | --- | --- |\n"
        for name, gap in sorted(listed.items()):
            reasons += f"| [`{name}`](../checks/{name}.md) | {said(gap)[0]} | {gap.reason} |\n"
    return text + reasons
