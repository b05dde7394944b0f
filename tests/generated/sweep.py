"""Draws many programs with each fault and without, examines all, and writes what came out into docs/generated.md.

`python -m tests.generated.sweep --count N --seed S`; the same seed and the same versions give the same page.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import torch

from .examined import examined
from .faults import ANY, FAULTS
from .programs import seeded

PAGE = Path(__file__).parents[2] / "docs" / "generated.md"
TASKS = {
    "classify": "classification",
    "regress": "regression",
    "binary": "binary classification",
    "segment": "segmentation",
    "tag": "sequence tagging",
    "masked": "masked language model",
    "next": "next-token language model",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One program to draw: the fault in it, or none, its task, or any, and its number."""

    seed: int
    fault: str
    task: str
    number: int


@dataclass(frozen=True, slots=True)
class Row:
    """What came out for one program, small enough to hand from process to process."""

    drawn: Drawn
    detected: bool
    named: bool
    defects: tuple[str, ...]
    suspicions: tuple[str, ...]
    error: str


def judged(drawn: Drawn) -> Row:
    """Draw one program and examine it."""
    torch.set_num_threads(1)
    try:
        outcome = examined(seeded(drawn.seed, drawn.fault, drawn.number, drawn.task))
    except Exception as error:  # a program that cannot even be built: the generator's fault, told on the page
        return Row(drawn, False, False, (), (), f"{type(error).__name__}: {error}")
    right = {each.check for each in outcome.told}
    return Row(
        drawn,
        bool(drawn.fault) and outcome.detected,
        bool(drawn.fault) and outcome.named,
        tuple(sorted({each.check for each in outcome.report.defects} - right)),
        tuple(sorted({each.check for each in outcome.report.suspicions} - right)),
        "" if outcome.report.error is None else outcome.report.error.message,
    )


def page(rows: Sequence[Row], seed: int) -> str:
    """The rows as a page."""
    healthy = [row for row in rows if not row.drawn.fault]
    broken = [row for row in rows if row.drawn.fault]
    lines = [
        "# Generated trainings",
        "",
        INTRODUCTION,
        "",
        f"Seed {seed}, {len(rows) // max(1, len({(row.drawn.fault, row.drawn.task) for row in rows}))} of each kind;"
        f" smokestep {version('smokestep')}, torch {torch.__version__.partition('+')[0]}.",
        "",
        "## Without a fault",
        "",
        f"{len(healthy)} programs: {_rate(sum(bool(row.defects) for row in healthy), healthy)} got a defect,"
        f" {_rate(sum(bool(row.suspicions) for row in healthy), healthy)} a suspicion.",
        "",
        "| task | programs | with a defect | with a suspicion |",
        "|---|--:|--:|--:|",
    ]
    for task, name in TASKS.items():
        own = [row for row in healthy if row.drawn.task == task]
        defects, suspicions = _checks(row.defects for row in own), _checks(row.suspicions for row in own)
        lines.append(f"| {name} | {len(own)} | {defects} | {suspicions} |")
    lines += [
        "",
        "## With one fault",
        "",
        f"{len(broken)} programs: the fault was told by the right check, with the severity that it promises, in"
        f" {_rate(sum(row.detected for row in broken), broken)}; the line named was the injected one in"
        f" {_rate(sum(row.detected and row.named for row in broken), broken)}.",
        "",
        "| fault | what is done | programs | check | severity | detected | line right | other defects |",
        "|---|---|--:|---|---|--:|--:|--:|",
    ]
    for fault, told in FAULTS.items():
        own = [row for row in broken if row.drawn.fault == fault]
        found, right = sum(row.detected for row in own), sum(row.detected and row.named for row in own)
        others = _checks(row.defects for row in own)
        lines.append(
            f"| {fault} | {told.what} | {len(own)} | `{told.check}` | {told.severity} | {found} | {right} | {others} |"
        )
    lines += ["", NOTES, *_not_as_promised(rows)]
    return "\n".join(lines) + "\n"


INTRODUCTION = """\
Small models, each with the loop around it, drawn at random and written out as source: layers, norms, residuals, gates,
masks, tasks, losses, optimizers, schedules and code shapes are all drawn. `make generated` draws them again and writes
this page; the same seed gives the same numbers. `python -m tests.generated.sweep --show FAULT NUMBER` prints one
program with its report, `--show TASK NUMBER` one without a fault."""
NOTES = """\
The line of a fault that is an absence is the one at which it shows: the `backward` that adds to gradients which nothing
cleared, or whose gradients nothing uses; the last line of a block whose result the next one does not read. For a layer
that is replaced too late it is the line that builds the optimizer, or the one that replaces it; for a frozen group, the
line that builds the optimizer. "Other defects" are defects from checks that do not belong to the fault."""


def wrong(rows: Iterable[Row]) -> list[Row]:
    """The programs in which a promise was not kept."""
    return [
        row for row in rows if (row.defects if not row.drawn.fault else not (row.detected and row.named)) or _broke(row)
    ]


def _broke(row: Row) -> bool:
    return bool(row.error) and row.drawn.fault != "early-step"  # which may make the backward pass raise


def _not_as_promised(rows: Sequence[Row]) -> list[str]:
    found = wrong(rows)
    listed = [
        f"- `{row.drawn.fault or row.drawn.task}` {row.drawn.number}: "
        + (row.error or ", ".join(row.defects) or ("another line" if row.detected else "not detected"))
        for row in found
    ]
    return ["", "Not as promised:", "", *listed] if listed else []


def _rate(count: int, among: Sequence[Row]) -> str:
    return f"{count} ({100 * count / max(1, len(among)):.2f} %)"


def _checks(found: Iterable[Sequence[str]]) -> str:
    """How many programs, and which checks."""
    every = [checks for checks in found if checks]
    names = Counter(name for checks in every for name in checks)
    return f"{len(every)} ({', '.join(f'`{name}` {count}' for name, count in sorted(names.items()))})" if every else "0"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 for a defect in a right program, or for one that could not be built.

    A fault that is missed is told on the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.generated.sweep", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="programs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--only", nargs="*", help="only these faults or tasks")
    parser.add_argument("--write", action="store_true", help="also renew docs/generated.md")
    parser.add_argument("--show", nargs=2, metavar=("FAULT", "NUMBER"), help="print one program and its report")
    args = parser.parse_args(arguments)
    if args.show:
        kind, number = args.show
        fault, task = ("", kind) if kind in ANY else (kind, "")
        print(examined(seeded(args.seed, fault, int(number), task)))
        return 0
    kinds = [(fault, "") for fault in FAULTS] + [("", task) for task in TASKS]
    kinds = [kind for kind in kinds if not args.only or not set(kind).isdisjoint(args.only)]
    drawn = [Drawn(args.seed, *kind, number) for kind in kinds for number in range(args.count)]
    rows: list[Row] = []
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        for row in pool.map(judged, drawn, chunksize=10):
            rows.append(row)
            if len(rows) % args.count == 0:
                print(f"  {row.drawn.fault or row.drawn.task}: done", file=sys.stderr, flush=True)
    text = page(rows, args.seed)
    print(text)
    if args.write:
        PAGE.write_text(text)
    return int(any(row.defects and not row.drawn.fault or _broke(row) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
