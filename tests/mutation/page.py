"""The page about the mutants: by operator, and every survivor with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from .mutants import Fate, Row
from .operators import OPERATORS
from .reasons import reason

INTRODUCTION = """\
# Mutation

Every training of the zoo is right. Here one piece of one of them is changed at a time, as a slip would change it: a
call is left out, a gradient cut, a dimension exchanged, a loss given something else. `make mutation` draws such
mutants, runs them, examines them and writes this page; the same seed gives the same ones.
`python -m tests.mutation --only OPERATOR --show` prints the mutants of one operator with what was said.

A mutant is *invalid* if it cannot be built or its step raises, and *equivalent* if after the recorded steps every
parameter and buffer is bit by bit what it would have been. All others are examined. *Found* is one with a finding, a
defect or a suspicion, that the right training has not; the checks that run on request are asked only if the default
ones found nothing. The *line is right* if a finding names the line that was changed; where a call is missing, the one
at which that shows."""
HARMLESS = """\
° Some mutants of this operator are right programs, and neither the text nor the numbers of a few steps tell which. They
are counted as survivors all the same: {}."""


def page(rows: Sequence[Row], fates: Mapping[tuple[str, Fate], int], seed: int, count: int, trainings: int) -> str:
    """The page, as Markdown."""
    found = [row for row in rows if row.found]
    firm = [row for row in rows if not OPERATORS[row.mutant.operator].harmless]
    lines = [
        INTRODUCTION,
        "",
        f"Seed {seed}, {trainings} trainings, up to {count} mutants of each operator;"
        f" smokestep {version('smokestep')}, torch {version('torch')}.",
        "",
        f"**Score: {_rate(len(found), len(rows))}** of the mutants that change behaviour are found;"
        f" {_rate(sum(bool(row.default) for row in rows), len(rows))} by the default checks,"
        f" {_rate(_defects(rows), len(rows))} as a defect. The line is right in"
        f" {_rate(sum(row.right for row in found), len(found))} of those found. Without the operators marked °, whose"
        f" mutants may be right programs: {_rate(sum(row.found for row in firm), len(firm))}.",
        "",
        '| operator | what is done | mutants | invalid | equivalent | changed | found by default | with `select="all"`'
        " | line right | found by |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, operator in OPERATORS.items():
        own = [row for row in rows if row.mutant.operator == name]
        invalid, equivalent = fates.get((name, "invalid"), 0), fates.get((name, "equivalent"), 0)
        if not (own or invalid or equivalent):
            continue
        checks = Counter(check for row in own for check in {each.check for each in (*row.default, *row.requested)})
        best = ", ".join(f"`{check}` {times}" for check, times in sorted(checks.items(), key=_most)[:3])
        lines.append(
            f"| {name}{'°' if operator.harmless else ''} | {operator.what} | {invalid + equivalent + len(own)}"
            f" | {invalid} | {equivalent} | {len(own)} | {sum(bool(row.default) for row in own)}"
            f" | {sum(row.found for row in own)} | {sum(row.right for row in own)} | {best} |"
        )
    lines += ["", *_harmless(), "", *_survivors(rows), *_broken(rows)]
    return "\n".join(lines) + "\n"


def _most(each: tuple[str, int]) -> tuple[int, str]:
    return -each[1], each[0]


def _defects(rows: Sequence[Row]) -> int:
    return sum(any(each.severity == "defect" for each in row.default) for row in rows)


def _harmless() -> list[str]:
    said = [f"{name} ({each.harmless})" for name, each in OPERATORS.items() if each.harmless]
    return [HARMLESS.format("; ".join(said))]


def _survivors(rows: Sequence[Row]) -> list[str]:
    survivors = [row for row in rows if not row.found]
    lines = ["## Survivors", "", f"{len(survivors)} mutants of which nothing was said, and why not."]
    for name in OPERATORS:
        own = [row for row in survivors if row.mutant.operator == name]
        lines += ["", f"### {name}", ""] if own else []
        lines += [f"- `{row.mutant.shown}`: {reason(row.mutant)}" for row in own]
    return lines


def _broken(rows: Sequence[Row]) -> list[str]:
    broken = [f"- `{row.mutant.shown}`: {row.error}" for row in rows if row.error]
    return ["", "## Raised only under examination", "", *broken] if broken else []


def _rate(count: int, among: int) -> str:
    return f"{count} of {among} ({100 * count / max(1, among):.1f} %)"
