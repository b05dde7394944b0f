"""Draws mutants of the zoo's entries, and judges them: invalid, equivalent, or changed, and then found or not.

The same seed draws the same mutants of the same zoo.
"""

from __future__ import annotations

import gc
import random
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch

import smokestep
from smokestep.checks import load
from smokestep.findings import Finding
from smokestep.report import Report

from ..zoo.registry import Entry, entries
from ..zoo.requested import REQUESTED, TOLERABLE
from .edits import Edit, applied
from .operators import OPERATORS
from .program import FOLDER, loaded, ran, same, watched

if sys.platform != "win32":
    import resource

Fate = Literal["invalid", "equivalent", "changed"]
MEMORY = 8 << 30  # bytes of address space: one mutant came to hold 14 GiB, and the sweep stood still
SECONDS = 120  # for one mutant, run or examined


@dataclass(frozen=True, slots=True)
class Mutant:
    """One entry of one file with one mutation; `lines` are those that a finding may rightly name."""

    operator: str
    entry: str
    file: str
    edits: tuple[Edit, ...]
    lines: frozenset[int]

    @property
    def source(self) -> str:
        """The text of the whole file, mutated."""
        return applied((FOLDER / self.file).read_text(), self.edits)

    @property
    def shown(self) -> str:
        """Where it is and what the lines now say."""
        before, after = (FOLDER / self.file).read_text().splitlines(), self.source.splitlines()
        changed = [
            f"{i + 1}: {new.strip()}" for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new
        ]
        return f"{self.file} {self.entry} " + " | ".join(each for each in changed if not each.endswith(": "))


@dataclass(frozen=True, slots=True)
class Told:
    """A finding that the entry itself has not: the check, its severity, the line it names and what it says."""

    check: str
    severity: str
    line: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a mutant that changes behaviour; `requested` is asked only if `default` found nothing."""

    mutant: Mutant
    default: tuple[Told, ...]
    requested: tuple[Told, ...]
    error: str

    @property
    def found(self) -> bool:
        """Whether any check found it."""
        return bool(self.default or self.requested)

    @property
    def right(self) -> bool:
        """Whether a finding names a line that carries the mutation."""
        return any(each.line in self.mutant.lines for each in (*self.default, *self.requested))


def files() -> dict[str, str]:
    """The file of each entry."""
    return {each.name: f"{each.build.__module__.rpartition('.')[2]}.py" for each in entries()}


def sites(place: tuple[str, str]) -> list[Mutant]:
    """Every mutant of an entry, given as (file, name); none if it cannot be watched, or never runs twice alike."""
    file, name = place
    torch.set_num_threads(1)
    try:
        program = watched(file, name)
        with loaded(program.source, name) as entry:
            alike = same(ran(entry), ran(entry))
    except Exception:  # a program that the plain run or the trace cannot follow
        return []
    if not alike:
        return []
    return [
        Mutant(each.name, name, file, edits, lines)
        for each in OPERATORS.values()
        for edits, lines in each.mutations(program).items()
    ]


def drawn(every: Sequence[Mutant], seed: int) -> dict[str, list[Mutant]]:
    """The mutants of each operator in the order in which they are tried: entries in turn, each edit once."""
    found: dict[str, list[Mutant]] = {}
    for name in OPERATORS:
        chance = random.Random(f"{seed} {name}")
        own = [each for each in every if each.operator == name]
        chance.shuffle(own)
        turn: dict[str, int] = {}
        order = []
        for i, each in enumerate(own):
            turn[each.entry] = turn.get(each.entry, -1) + 1
            order.append((turn[each.entry], i))
        seen: set[tuple[str, tuple[Edit, ...]]] = set()
        found[name] = []
        for _, i in sorted(order):
            if (key := (own[i].file, own[i].edits)) not in seen:
                seen.add(key)
                found[name].append(own[i])
    return found


@lru_cache(maxsize=64)
def _original(file: str, name: str) -> dict[str, torch.Tensor]:
    with loaded((FOLDER / file).read_text(), name) as entry:
        return ran(entry)


def bounded() -> None:
    """Prepare a worker: a mutant may ask for more memory than there is, and is then told so."""
    gc.freeze()
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


@contextmanager
def in_time() -> Iterator[None]:
    """Raise `TimeoutError` where a mutant goes on for ever."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fate(mutant: Mutant) -> Fate:
    """What the mutation does to a run of the steps without smokestep."""
    torch.set_num_threads(1)
    try:
        with in_time(), loaded(mutant.source, mutant.entry) as entry:
            result = ran(entry)
    except Exception:
        return "invalid"
    return "equivalent" if same(result, _original(mutant.file, mutant.entry)) else "changed"


def judged(mutant: Mutant) -> Row:
    """Examine a mutant that changes behaviour."""
    try:
        with in_time():
            return _judged(mutant)
    except (TimeoutError, MemoryError) as error:
        return Row(mutant, (), (), f"the examination was ended: {error}")


def _judged(mutant: Mutant) -> Row:
    torch.set_num_threads(1)
    with loaded(mutant.source, mutant.entry) as entry:
        report = _examined(entry)
        default = tuple(_new(report, {(check, "suspicion") for check in entry.suspicions}))
        requested: tuple[Told, ...] = ()
        if not default:
            known = {(check, "suspicion") for name, check in TOLERABLE if name == mutant.entry}
            requested = tuple(_new(_examined(entry, REQUESTED), known))
    untold = "" if report.steps else "; ".join(report.notes)
    return Row(mutant, default, requested, untold if report.error is None else report.error.message)


def _examined(entry: Entry, select: Sequence[str] = ()) -> Report:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smokestep.examine(entry.build, steps=entry.steps, select=select)


def _new(report: Report, known: set[tuple[str, str]]) -> Iterator[Told]:
    names = {each.name for each in load()}
    for each in report.findings:
        severity = each.severity.value if each.severity else ""
        if each.check in names and (each.check, severity) not in known:
            yield Told(each.check, severity, _line(each), each.message)


def _line(finding: Finding) -> int | None:
    return finding.cause.line if finding.cause is not None else finding.where.line
