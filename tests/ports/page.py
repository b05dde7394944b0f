"""Writes docs/ports.md from two measurements of the ports: the first there was, and the present one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .cases import told
from .measure import SELECTIONS, Result

PAGE = Path(__file__).parents[2] / "docs" / "ports.md"
Measured = Mapping[str, Mapping[str, Result]]

INTRODUCTION = """\
Faults that others reported, from studies of Stack Overflow questions, GitHub issues and commits, written again as
small PyTorch trainings, each with its repaired twin: `tests/ports/`, one file a fault, with its source. They were
written from the descriptions, without looking at what smokestep would say of them, and they stay as they are when it
misses them: among them are faults that a test of a few steps can hardly see. `make ports` measures again and writes
this page.

*Before* is the first run of each port, made when it had just been written, before any check was changed on its
account; it is kept in `tests/ports/before.json` and never written twice. *Now* is the present state: the checks have
been changed since in knowledge of these ports, so the first number is the fair one.

*Detected*: some check, defect or suspicion, fires on the faulty training and not on the repaired one; whether it
names the fault in so many words is not judged. *Line right*: one of those findings names, as cause or as place, a
line that the repair changes, or the line that goes wrong for the want of a missing one. *Fixed silent*: nothing at
all is said of the repaired training. *Default* are the checks that run by themselves; *all* adds those that run only
on request."""


def page(before: Measured, now: Measured) -> str:
    """The rates and the table of ports."""
    names = sorted(now)
    first = [name for name in names if name in before]
    lines = ["# Ports of published faults", "", INTRODUCTION, "", "## Rates", ""]
    lines += [
        "| checks | run | ports | detected | of these as a defect | line right | fixed silent |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for select in SELECTIONS:
        for word, measured, ports in (("before", before, first), ("now", now, names)):
            results = [measured[name][select] for name in ports]
            lines.append(f"| {select} | {word} | {len(results)} | {' | '.join(_rates(results))} |")
    for folder, title in (("so", "From Stack Overflow and forums"), ("github", "From GitHub")):
        lines += ["", f"## {title}", "", *_table([name for name in names if name.startswith(folder)], before, now)]
    return "\n".join(lines) + "\n"


def _rates(results: Sequence[Result]) -> list[str]:
    counted: Sequence[Callable[[Result], bool]] = (
        lambda each: each.detected,
        lambda each: each.defect,
        lambda each: each.line,
        lambda each: not each.alarms,
    )
    counts = [sum(map(count, results)) for count in counted]
    return [f"{count} ({100 * count / max(1, len(results)):.0f} %)" for count in counts]


def _table(names: Sequence[str], before: Measured, now: Measured) -> list[str]:
    lines = [
        "| port | fault | source | told by | line | fixed | before |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        words, results = told(name), now[name]
        first = _found(before[name]) if name in before else "not measured"
        cells = (
            f"`{name.partition('/')[2]}`",
            words.fault,
            words.source,
            _found(results),
            "yes" if any(each.line for each in results.values()) else "",
            ", ".join(f"`{check}`" for check in results["all"].alarms) or "silent",
            "the same" if first == _found(results) else first,
        )
        lines.append(f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |")
    return lines


def _found(results: Mapping[str, Result]) -> str:
    """The checks that told the fault; those in brackets do so only on request."""
    default, every = results["default"].told, results["all"].told
    names = [f"`{check}`" for check in default] + [f"(`{check}`)" for check in every if check not in default]
    return ", ".join(names) or "nothing"
