"""Examines the whole corpus and the whole zoo, and writes what each check found: docs/detection.md, docs/figures.json.

`python -m tests.detection --jobs N --write` (`make detection`); nothing is drawn at random, so that the same versions
give the same figures. The tests hold the same promises case by case; this counts them.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
from tests.corpus.cases import CASES, expected
from tests.corpus.cases import load as load_case
from tests.zoo.registry import entries

import smokestep
from smokestep.checks import load
from smokestep.findings import Verdict

DOCS = Path(__file__).parents[1] / "docs"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pair:
    """One wrong program and its repaired twin: the checks that should speak, those that did, with the right line."""

    case: str
    marked: tuple[str, ...]
    told: tuple[str, ...]
    placed: tuple[str, ...]
    beside: tuple[str, ...]
    twin: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Healthy:
    """One training of the zoo: the checks that came to a judgement, and those that spoke without a declared reason."""

    name: str
    judged: tuple[str, ...]
    false: tuple[str, ...]
    declared: tuple[str, ...]


def pair(case: str) -> Pair:
    """Examine both sides of one case; what runs on request is asked for where it is marked."""
    marks = expected(CASES[case])
    requested = {each.name for each in load() if each.on_request}
    select = ["default", *sorted({check for check, _ in marks} & requested)]
    module = load_case(case)
    buggy = _quietly(lambda: smokestep.examine(module.buggy, select=select))
    fixed = _quietly(lambda: smokestep.examine(module.fixed, select=select))
    found = {(each.check, each.cause.line if each.cause else 0) for each in buggy.findings}
    wanted = {check for check, _ in marks}
    return Pair(
        case=case,
        marked=tuple(sorted(wanted)),
        told=tuple(sorted(wanted & {check for check, _ in found})),
        placed=tuple(sorted({check for check, _ in marks.keys() & found})),
        beside=tuple(sorted({check for check, _ in found} - wanted)),
        twin=tuple(sorted({each.check for each in fixed.findings})),
    )


def healthy(name: str) -> Healthy:
    """Examine one training of the zoo with the checks that run by default."""
    entry = next(each for each in entries() if each.name == name)
    report = _quietly(lambda: smokestep.examine(entry.build, steps=entry.steps))
    spoke = {each.check for each in report.findings}
    declared = {*entry.suspicions} - {each.check for each in report.defects}  # a defect cannot be declared
    return Healthy(
        name=name,
        judged=tuple(check for check, each in report.checks.items() if each.verdict in (Verdict.PASS, Verdict.FAIL)),
        false=tuple(sorted(spoke - declared)),
        declared=tuple(sorted(spoke & declared)),
    )


def _quietly(work: Callable[[], T]) -> T:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about some of these faults, and that is not the point
            return work()
    finally:
        torch.set_num_threads(threads)


def figures(pairs: Sequence[Pair], zoo: Sequence[Healthy]) -> dict[str, Any]:
    """What docs/figures.json holds, by check."""
    checks: dict[str, Any] = {}
    for check in load():
        mine = [each for each in pairs if check.name in each.marked]
        checks[check.name] = {
            "pairs": len(mine),
            "told": sum(check.name in each.told for each in mine),
            "placed": sum(check.name in each.placed for each in mine),
            "twins_silent": sum(not each.twin for each in mine),
        }
        if not check.on_request:
            checks[check.name] |= {
                "judged": sum(check.name in each.judged for each in zoo),
                "false": sum(check.name in each.false for each in zoo),
                "declared": sum(check.name in each.declared for each in zoo),
            }
    return {"healthy": len(zoo), "versions": versions(), "checks": checks}


def versions() -> str:
    return f"smokestep {version('smokestep')}, torch {version('torch').partition('+')[0]}"


def page(pairs: Sequence[Pair], zoo: Sequence[Healthy], counted: Mapping[str, Any]) -> str:
    """docs/detection.md."""
    checks = counted["checks"]
    marked = [(each, check) for each in pairs for check in each.marked]
    told = sum(check in each.told for each, check in marked)
    placed = sum(check in each.placed for each, check in marked)
    silent = sum(not each.twin for each in pairs)
    alarmed = [each for each in zoo if each.false]
    text = f"""# Detection

Every check against the wrong programs that it is for, their repaired twins, and trainings that are right.
`make detection` examines them all again and writes this page. {counted["versions"]}.

- {len(pairs)} wrong programs: the check that should speak did so for {told} of {len(marked)} marked faults,
  and named the marked line for {placed}. {_noise(pairs)}
- {len(pairs)} repaired twins: {silent} silent.
- {len(zoo)} healthy trainings, with the checks that run by default: {len(zoo) - len(alarmed)} without a false finding.
  {sum(bool(each.declared) for each in zoo)} have a suspicion that is declared beside them with the reason why it is
  true or tolerable. `make zoo-requested` tries those that run on request.

*judged*: how many of the healthy trainings the check came to a judgement on; on the others it was not applicable,
or open.

"""
    heads = ("check", "wrong programs", "told", "line right", "twins silent", "healthy: judged", "false", "declared")
    text += f"| {' | '.join(heads)} |\n|---|--:|--:|--:|--:|--:|--:|--:|\n"
    for name, each in checks.items():
        text += f"| [`{name}`](checks/{name}.md) | {' | '.join(str(each.get(key, '')) for key in KEYS)} |\n"
    for heading, listed in (
        ("Wrong programs with something else said", [(each.case, each.beside) for each in pairs if each.beside]),
        ("Healthy trainings with a false finding", [(each.name, each.false) for each in alarmed]),
    ):
        if listed:
            text += f"\n## {heading}\n\n" + "".join(f"- `{name}`: {', '.join(words)}\n" for name, words in listed)
    return text


KEYS = ("pairs", "told", "placed", "twins_silent", "judged", "false", "declared")


def _noise(pairs: Iterable[Pair]) -> str:
    noisy = sum(bool(each.beside) for each in pairs)
    return f"In {noisy} of them something else was said beside it." if noisy else "Nothing else was said."


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 if a marked fault was missed, a twin spoke, or a healthy training got a false finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    parser.add_argument("--write", action="store_true", help="write docs/detection.md and docs/figures.json")
    asked = parser.parse_args(arguments)
    names = [each.name for each in entries()]
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        pairs = list(pool.map(pair, CASES))
        zoo = list(pool.map(healthy, names))
    counted = figures(pairs, zoo)
    text = page(pairs, zoo, counted)
    if asked.write:
        (DOCS / "detection.md").write_text(text)
        (DOCS / "figures.json").write_text(json.dumps(counted, indent=1) + "\n")
    print(text)
    wrong = [each.case for each in pairs if each.marked != each.placed or each.beside or each.twin]
    wrong += [each.name for each in zoo if each.false]
    for name in wrong:
        print(f"not as promised: {name}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
