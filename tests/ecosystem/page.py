"""docs/ecosystem.md: counts by library, alarms by check, and every alarm beside its explanation.

The explanations are written by hand in explained.toml: an alarm without one is not yet understood, and is told as such.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from .examined import Alarm, Row

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = Path(__file__).parents[2] / "docs" / "ecosystem.md"
FIGURES = PAGE.with_suffix(".json")  # for the page of each check
EXPLAINED = Path(__file__).with_name("explained.toml")
PACKAGES = (
    "torch",
    "transformers",
    "timm",
    "diffusers",
    "vit-pytorch",
    "x-transformers",
    "segmentation-models-pytorch",
    "torch-geometric",
    "monai",
    "torchvision",
    "pytorchcv",
    "e3nn",
    "neuraloperator",
    "zuko",
    "torchdiffeq",
    "snntorch",
    "gpytorch",
    "open-clip-torch",
)
INTRODUCTION = """\
Models of other people's libraries, with random weights and small configurations, each trained for the recorded steps in
an ordinary loop with its own usual loss, and examined with the checks that run by default. `make ecosystem` does it
again and writes this page; `python -m tests.ecosystem --only 'timm/*'` renews some rows. A suspicion that is true (a
pooler that the loss does not use) is counted like one that is not; each is explained below."""
Explanation = Mapping[str, Any]


def explanations() -> list[Explanation]:
    """The entries of explained.toml: `check`, `models` (patterns), `kind` and `why`."""
    return list(tomllib.loads(EXPLAINED.read_text())["alarm"])


def explained(name: str, alarm: Alarm, known: Iterable[Explanation]) -> Explanation | None:
    """The first entry for this alarm of this model."""
    for entry in known:
        if entry["check"] == alarm.check and any(fnmatchcase(name, pattern) for pattern in entry["models"]):
            return entry
    return None


def unexplained(row: Row, known: Sequence[Explanation]) -> list[Alarm]:
    """The row's defects that nobody has explained."""
    return [each for each in row.alarms if each.severity == "defect" and explained(row.name, each, known) is None]


def page(rows: Sequence[Row], known: Sequence[Explanation]) -> str:
    """The rows as a page."""
    examined = [row for row in rows if row.outcome == "examined"]
    alarmed = [row for row in examined if row.alarms]
    lines = [
        "# Other people's models",
        "",
        INTRODUCTION,
        "",
        f"smokestep {version('smokestep')}; " + ", ".join(_versions()) + ".",
        "",
        f"**{len(examined)} models: {_share(_with(examined, 'defect'), examined)} with a defect,"
        f" {_share(_with(examined, 'suspicion'), examined)} with a suspicion.**"
        f" Examining one takes {median([row.whole for row in examined] or [0]):.1f} s of processor time in the median"
        f" ({_ninth(row.whole for row in examined):.1f} s for nine of ten).",
        "",
        "| library | models | with a defect | with a suspicion | not built | too slow | seconds, median |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for group in sorted({_group(row.name) for row in rows}):
        own = [row for row in rows if _group(row.name) == group]
        seen = [row for row in own if row.outcome == "examined"]
        lines.append(
            f"| {group} | {len(seen)} | {len(_with(seen, 'defect'))} | {len(_with(seen, 'suspicion'))}"
            f" | {sum(row.outcome == 'not built' for row in own)}"
            f" | {sum(row.outcome == 'too slow' for row in own)} | {median([row.whole for row in seen] or [0]):.1f} |"
        )
    lines += ["", "## By check", "", "| check | severity | models |", "|---|---|--:|"]
    counted = Counter(
        (each.check, each.severity) for row in alarmed for each in {a.check: a for a in row.alarms}.values()
    )
    lines += [f"| `{check}` | {severity} | {count} |" for (check, severity), count in sorted(counted.items())]
    judging = [row for row in examined if row.passed]
    often = Counter(check for row in judging for check in row.passed)
    lines += [
        "",
        f"In the median {median([len(row.passed) for row in judging] or [0]):.0f} checks judged a model and found"
        f" nothing ({len(judging)} models). How often each did: "
        + ", ".join(f"`{check}` {count}" for check, count in sorted(often.items()))
        + ".",
    ]
    lines += ["", "## Every alarm", "", "| models | check | what it is | explanation |", "|---|---|---|---|"]
    lines += _alarms(alarmed, known)
    raised = [row for row in rows if row.outcome == "raised"]
    if raised:
        lines += ["", "## Ran alone, and not under examination", ""]
        lines += [f"- `{row.name}`: {_cell(row.why)}" for row in raised]
    lines += [
        "",
        "## Not built",
        "",
        "What the small configuration did not suit, or what needs a package that is not there.",
        "",
    ]
    lines += [f"- `{row.name}`: {_cell(row.why)}" for row in rows if row.outcome in ("not built", "too slow")]
    return "\n".join(lines) + "\n"


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """How many models there were, and by check on how many it passed, and on how many it spoke."""
    examined = [row for row in rows if row.outcome == "examined"]
    passed = Counter(check for row in examined for check in row.passed)
    spoke = Counter(check for row in examined for check in {each.check for each in row.alarms})
    return {"models": len(examined), "passed": dict(sorted(passed.items())), "spoke": dict(sorted(spoke.items()))}


def _alarms(rows: Sequence[Row], known: Sequence[Explanation]) -> list[str]:
    told: dict[tuple[str, str, str, str], list[str]] = {}
    for row in rows:
        for each in {(a.check, a.severity): a for a in row.alarms}.values():
            entry = explained(row.name, each, known)
            kind, why = (entry["kind"], entry["why"]) if entry else ("not yet explained", _cell(each.message))
            told.setdefault((each.check, each.severity, kind, why), []).append(row.name)
    return [
        f"| {', '.join(f'`{name}`' for name in names)} | `{check}` ({severity}) | {kind} | {why} |"
        for (check, severity, kind, why), names in sorted(told.items())
    ]


def _with(rows: Sequence[Row], severity: str) -> list[Row]:
    return [row for row in rows if any(each.severity == severity for each in row.alarms)]


def _share(some: Sequence[Row], every: Sequence[Row]) -> str:
    return f"{len(some)} ({100 * len(some) / max(1, len(every)):.1f} %)"


def _ninth(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) * 9 // 10] if ordered else 0.0


def _group(name: str) -> str:
    library, kind, *_ = name.split("/")
    return f"{library}, {kind}" if library == "transformers" else kind if library == "others" else library


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:200]


def _versions() -> list[str]:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package).partition('+')[0]}")
        except PackageNotFoundError:
            continue
    return found
