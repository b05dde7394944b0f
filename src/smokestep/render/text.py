"""The report as text for people: what happened, where, the line that caused it, what to try, how to allow it.

Everything fits the width, plain text says all that colour says, and a clean report is two lines.
"""

from __future__ import annotations

import io
import linecache
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from smokestep.findings import Finding, Line, Severity, Verdict
from smokestep.report import OWN, Report

WIDTHS = (80, 120)  # columns, if the caller does not say: narrower tears source lines, wider is hard to read
AT_MOST = 4  # names in a row; more would push the message out of sight
STYLES = {Severity.DEFECT: "bold red", Severity.SUSPICION: "yellow"}


def render(report: Report, *, width: int | None = None, color: bool | None = None) -> str:
    """The report as text, by default as wide as the terminal (80 to 120 columns) and coloured if it is one."""
    page = io.StringIO()
    console = Console(
        file=page,
        width=width or min(max(Console(stderr=True).width, WIDTHS[0]), WIDTHS[1]),
        force_terminal=sys.stdout.isatty() if color is None else color,
        highlight=False,
        emoji=False,
        markup=False,
    )
    for block in _blocks(report, console.width):
        console.print(block, crop=False)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def _blocks(report: Report, width: int) -> Iterator[RenderableType]:
    if report.error is not None:
        yield from _failure(report, width)
        yield ""
    yield from _headline(report, width)
    for defect in report.defects:
        yield ""
        yield from _finding(defect, width, report.training.live)
    if report.suspicions:
        fails = "fails under --strict" if report.strict else "may well be right as it is, and fails only under --strict"
        yield Text.assemble("\n", ("suspicious", "bold yellow"), (f": {fails}", "dim"))
    for suspicion in report.suspicions:
        yield ""
        yield from _finding(suspicion, width, report.training.live)
    yield from _small_print(report)
    yield from _what_next(report)


def _failure(report: Report, width: int) -> Iterator[RenderableType]:
    error = report.error
    assert error is not None
    message = Text.assemble(("failed", "bold red"), "   ", error.message)
    yield from _with_place(message, _place(error.line), width)
    if error.line:
        yield _indented(_source(error.line, (), width - 4))
    if error.completed:
        yield _indented(
            f"It ended after {_many(error.completed, 'complete step')}; what was seen until then is judged below."
        )
    else:
        yield _indented("It ended before the first training step was complete.")


def _headline(report: Report, width: int) -> Iterator[RenderableType]:
    parts = [(len(report.defects), "defect"), (len(report.suspicions), "suspicion")]
    told = ", ".join(_many(count, word) for count, word in parts if count)
    if not report.defects:
        judged = report.count(Verdict.PASS) and not (report.error and not report.error.completed)
        none = "nothing could be judged" if not judged else "no defect so far" if report.error else "no defect"
        told = f"{none}, {told}" if told else none
    style = {Verdict.FAIL: "bold red", Verdict.PASS: "bold green"}.get(report.verdict, "bold yellow")
    subject = _subject(report)
    head = Text.assemble((told, style), (f" in {subject}" if subject else "", "bold"))
    if subject and len(head) > width:
        yield Text.assemble((told, style), (" in", "bold"))
        head = _whole(subject)
    counts = [
        f"{report.count(Verdict.PASS)} passed",
        f"{report.count(Verdict.NOT_APPLICABLE)} not applicable",
        f"{report.count(Verdict.OPEN)} open",
    ]
    rest = [f" · {' · '.join(counts)}"] if report.count(Verdict.PASS) + report.count(Verdict.FAIL) else []
    rest += [f"   ({', '.join(_facts(report))})"] if report.versions else []
    below: list[str] = []
    while len(head) + sum(map(len, rest)) > width and rest:
        below.insert(0, rest.pop().strip(" ·"))
    for fact in rest:
        head.append(fact, "not bold")
    yield Group(head, *map(_indented, below))
    if report.steps:
        yield _indented(Text(f"looked at {_looked_at(report)}", "dim"))
    for taken in report.inferred:
        yield _indented(Text(taken, "dim"))
    if each := [f"{name} {spent:.2f} s" for name, spent in report.experiments.items() if spent >= 0.005]:
        yield _indented(Text(f"experiments: {', '.join(each)}", "dim"))
    for note in report.notes:
        yield _indented(note)


def _subject(report: Report) -> str:
    training = report.training
    if not training.file:
        return training.name
    file = _short(training.file)
    return file if training.name in (os.path.basename(file), "") else f"{file}:{training.name}"


def _facts(report: Report) -> Iterator[str]:
    if "total" in report.cost:
        yield f"{report.cost['total']:.1f} s"
    if report.seed is not None:
        yield f"seed {report.seed}"
    own = ("smokestep", "python", "platform")
    frameworks = [version.partition("+")[0] for name, version in report.versions.items() if name not in own]
    yield from frameworks or [f"smokestep {report.versions.get('smokestep', '')}"]


def _looked_at(report: Report) -> str:
    training = report.training
    models = _some(f"{name or 'a model'} ({_many(size, 'parameter')})" for name, size in training.models.items())
    kinds = _some(dict.fromkeys(training.optimizers.values()))
    named = (f" of {models}" if models else "") + (f", trained by {kinds}" if kinds else "")
    return _many(report.steps, "step") + named


def _finding(finding: Finding, width: int, live: bool) -> Iterator[RenderableType]:
    where = finding.where
    shown = finding.cause or (Line(where.file, where.line) if where.file and where.line else None)
    head = Text.assemble((finding.check, STYLES[finding.severity or Severity.DEFECT]), "   ", _names(where.path or ""))
    yield from _with_place(head, _place(shown), width)
    yield _indented(finding.message)
    if shown or finding.related:
        yield _indented(_source(shown, finding.related, width - 4))
    if finding.hint:
        yield _indented(_labelled("try", finding.hint))
    for consequence in finding.consequences:
        yield _indented(_labelled("hence", consequence))
    if finding.check not in OWN:
        check, pattern = f'"{finding.check}"', f'"{_pattern(finding)}"'
        permit = (
            f'check = {check}, where = {pattern}, why = "…"'
            if live
            else f'smokestep.allow({check}, {pattern}, why="…")'
        )
        yield _indented(_labelled("allow", permit))


def _source(cause: Line | None, related: Iterable[tuple[Line, str]], width: int) -> RenderableType:
    """The cause with the line before and after it, and the related lines with their notes, in order, file by file."""
    lines: dict[tuple[str, int], str] = {}
    notes: dict[tuple[str, int], list[str]] = {}
    for line, note in [(cause, ""), *related] if cause else related:
        lines.setdefault((line.file, line.line), _text(line.file, line.line, line.code))
        notes.setdefault((line.file, line.line), []).extend([note] if note else [])
    if cause:
        for beside in (cause.line - 1, cause.line + 1):
            if text := _text(cause.file, beside):
                lines.setdefault((cause.file, beside), text)
    main = cause.file if cause else min(lines)[0]
    ordered = sorted(lines.items(), key=lambda each: (each[0][0] != main, each[0]))
    blocks: list[RenderableType] = []
    for file, group in groupby(ordered, lambda each: each[0][0]):
        rows = [(number, code) for (_, number), code in group]
        indent = min((len(code) - len(code.lstrip()) for _, code in rows if code.strip()), default=0)
        table = Table.grid()
        table.add_column(no_wrap=True)
        table.add_column()
        digits = len(str(rows[-1][0]))
        for number, code in rows:
            is_cause = cause is not None and (file, number) == (cause.file, cause.line)
            aside = "; ".join(notes.get((file, number), ()))
            style = "bold" if is_cause else "" if aside else "dim"
            beside = digits + 6 + len(code[indent:]) + 5 + len(aside) <= width
            note = f"{'   ' if beside else chr(10)}← {aside}" if aside else ""
            shown = Text.assemble((code[indent:], style), (note, "cyan"))
            table.add_row(Text(f"{'>' if is_cause else ' '} {number:{digits}} |  ", style), shown)
        if file != main:
            blocks.append(Text(f"  {_short(file)}", "dim"))
        blocks.append(table)
    return Group(*blocks)


def _text(file: str, number: int, code: str = "") -> str:
    """The line as it stands in the file, indented; or `code`, where the file is not here or has changed."""
    line = linecache.getline(file, number).rstrip() if number > 0 else ""
    return line if code.strip() in line else code


def _small_print(report: Report) -> Iterator[RenderableType]:
    reasons: dict[str, list[str]] = {}
    never = [name for name, each in report.checks.items() if each.gap and each.verdict is Verdict.OPEN]
    for name, outcome in report.checks.items():
        if outcome.verdict is Verdict.OPEN and not outcome.gap:
            reasons.setdefault(outcome.reason or "no reason given", []).append(name)
    if reasons:
        yield Text.assemble("\n", ("could not tell", "bold"), (": neither passed nor failed", "dim"))
    for reason, names in reasons.items():
        yield _indented(f"{_some(names)}: {reason}")
    if never:
        framework = report.versions.get("framework", "this framework").partition(" ")[0]
        yield Text.assemble("\n", (f"not judged with {framework} yet: {_some(never)}", "dim"))
    if report.allowed or report.left_out or report.on_request:
        yield ""
    for finding, why in report.allowed:
        yield _labelled("allowed", f"{finding.check}   {_names(finding.where.path or '')}   because: {why}")
    if report.left_out:
        yield Text(f"left out: {_many(len(report.left_out), 'check')} (smokestep list names them all)", "dim")
    if report.on_request and not report.left_out:
        yield Text(f"on request: {_some(report.on_request)} (select=, or --select all)", "dim")


def _what_next(report: Report) -> Iterator[RenderableType]:
    checks = list(dict.fromkeys(each.check for each in report.findings if each.check not in OWN))
    if not checks:
        return
    yield ""
    if report.training.live:  # a script has no place for smokestep.allow(...)
        yield _labelled("to allow one", "[[tool.smokestep.allow]] in pyproject.toml: check, where, why")
    yield _labelled("more on a check", f"smokestep explain {checks[0] if len(checks) == 1 else 'NAME'}")


def _names(path: str) -> str:
    return _some(path.split(", "))


def _some(names: Iterable[str]) -> str:
    every = list(names)
    kept = every if len(every) <= AT_MOST else [*every[: AT_MOST - 1], f"and {len(every) - AT_MOST + 1} more"]
    return ", ".join(kept)


def _pattern(finding: Finding) -> str:
    """The narrowest simple pattern that covers every subject of the finding."""
    names = list(finding.subjects) or [finding.where.path or "*"]
    if len(set(names)) == 1:
        return names[0]
    owners = [name.split(".")[:-1] for name in names]
    if shared := os.path.commonprefix(owners):
        return ".".join([*shared, "*"]).replace("[", "[[]")
    return os.path.commonprefix(names).partition("[")[0] + "*"


def _with_place(head: Text, place: str, width: int) -> Iterator[RenderableType]:
    if not place:
        yield head
    elif len(head) + 2 + len(place) <= width:
        yield Text.assemble(head, " " * (width - len(head) - len(place)), (place, "bold"))
    else:
        yield head
        alone = _whole(place.rjust(width) if len(place) < width else place)
        yield Group(alone)  # a group: the console joins bare texts, and wraps them anew


def _whole(place: str) -> Text:
    """A place on a line of its own, which stays one line: broken, it could be neither opened nor searched for."""
    return Text(place, "bold", no_wrap=True, overflow="ignore")


def _place(line: Line | None) -> str:
    return f"{_short(line.file)}:{line.line}" if line else ""


def _short(file: str) -> str:
    """The path from the working directory, if that is shorter."""
    try:
        return min(os.path.relpath(file), file, key=len)
    except ValueError:  # another drive
        return file


def _labelled(label: str, text: str) -> RenderableType:
    row = Table.grid()
    row.add_column(no_wrap=True)
    row.add_column()
    row.add_row(Text(f"{label}: ", "dim"), text)
    return row


def _indented(block: RenderableType) -> RenderableType:
    return Padding(block, (0, 0, 0, 4))


def _many(count: Any, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
