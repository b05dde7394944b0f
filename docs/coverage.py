"""Makes docs/coverage.md of docs/catalogue.toml, the corpus and the checks: which fault is told, and by what.

    python docs/coverage.py

A row names wrong programs of the corpus; which check tells them, and how surely, is marked in these, and the tests
hold it. A row without one says why.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.corpus.cases import CASES, expected  # noqa: E402  (the corpus is no part of the package)

from smokestep.check import Check  # noqa: E402
from smokestep.checks import load  # noqa: E402

PAGE = ROOT / "docs" / "coverage.md"
HEAD = """# Coverage

Faults of training code that a test of a few steps could find, gathered from the literature, from other tools and from
bug reports, and what tells them here. {counts} {optional}

Severity and check are those that the named program of the corpus is marked with; the tests hold every mark, line and
all. The evidence is what the check reads. All of it is there with PyTorch;
[what is judged in JAX, Keras and TensorFlow](reference/frameworks.md) has a table of its own. A row may have both: what
tells it, and what of it nothing tells.
"""

TABLE = "| | fault | check | severity | evidence | proven by |\n|---|---|---|---|---|---|\n"


def catalogue() -> dict[str, dict[str, Any]]:
    """The rows by group."""
    return tomllib.loads((ROOT / "docs" / "catalogue.toml").read_text("utf-8"))


def rows(group: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rows of a group by their id."""
    return {name: row for name, row in group.items() if isinstance(row, Mapping)}


def told(row: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """The checks that tell a fault, each with its programs and how surely it speaks there."""
    found: dict[str, list[tuple[str, str]]] = {}
    for case in row.get("pairs", ()):
        for (check, _), mark in expected(CASES[case]).items():
            pair = (case, "suspicion" if mark["unsure"] else "defect")
            if pair not in found.setdefault(check, []):
                found[check].append(pair)
    return found


def page() -> str:
    """The whole page."""
    checks = {each.name: each for each in load()}
    groups = catalogue()
    every = [row for group in groups.values() for row in rows(group).values()]
    wanted = [row for row in every if not row.get("optional")]
    covered, certain = [row for row in wanted if row.get("pairs")], sum(_certain(row) for row in wanted)
    beside = [row for row in every if row.get("optional")]
    text = HEAD.format(
        counts=f"Of {len(wanted)} such faults {len(covered)} are told, {certain} of them with certainty in at least "
        f"one form; {len(wanted) - len(covered)} are not, each with the reason.",
        optional=f"{len(beside)} more need a statement or are a matter of taste (marked ☆).",
    )
    for group in groups.values():
        text += f"\n## {group['title']}\n\n{TABLE}"
        text += "".join(line for name, row in rows(group).items() for line in _lines(name, row, checks))
    used = {check for row in every for check in told(row)}
    rest = [name for name in checks if name not in used]
    if rest:
        text += "\n## Checks for faults that are in no row\n\n" + "".join(
            f"- [`{name}`](checks/{name}.md): {checks[name].summary}\n" for name in rest
        )
    return text


def _certain(row: Mapping[str, Any]) -> bool:
    return any(severity == "defect" for pairs in told(row).values() for _, severity in pairs)


def _lines(name: str, row: Mapping[str, Any], checks: Mapping[str, Check]) -> Iterable[str]:
    """The lines of one row: one a check, then what is not told."""
    head, fault = f"{name}{' ☆' if row.get('optional') else ''}", row["fault"]
    for check, pairs in told(row).items():
        evidence = ", ".join(each.__name__ for each in checks[check].needs)
        severities = " / ".join(sorted({severity for _, severity in pairs}))
        asked = ", on request" if checks[check].on_request else ""
        proof = ", ".join(f"`{case}`" for case, _ in pairs)
        yield f"| {head} | {fault} | [`{check}`](checks/{check}.md) | {severities}{asked} | {evidence} | {proof} |\n"
        head = fault = ""
    if row.get("why"):
        mark = "not told" if head else "the rest"
        yield f"| {head} | {fault} | *{mark}* | | | {row['why']} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
