"""Causes: findings that have one root are told once, and the order of what remains is always the same.

Nothing is lost: a consequence is told under its root, and only under one that is at least as severe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from smokestep.check import Check
from smokestep.findings import Finding, Severity


def merged(findings: Sequence[Finding], checks: Mapping[str, Check]) -> tuple[Finding, ...]:
    """The root findings, defects first, then by file, line and check, each with its consequences in that order."""
    ordered = sorted(findings, key=_position)
    roots = [_root(index, ordered, checks) for index in range(len(ordered))]
    told: list[Finding] = []
    for index, finding in enumerate(ordered):
        if roots[index] == index:
            under = [_sentence(ordered[each]) for each in range(len(ordered)) if roots[each] == index != each]
            once = [each for each in dict.fromkeys(under) if each != _sentence(finding)]  # twins on one line
            told.append(replace(finding, consequences=(*finding.consequences, *once)))
    return tuple(told)


def _position(finding: Finding) -> tuple[bool, str, int, str, str, str]:
    line = finding.cause or finding.where
    where = finding.where.path or ""
    certain = finding.severity is Severity.DEFECT
    return not certain, line.file or "", line.line or 0, finding.check, where, finding.message


def _root(index: int, ordered: Sequence[Finding], checks: Mapping[str, Check]) -> int:
    seen = {index}
    while (parent := _parent(index, ordered, checks)) is not None and parent not in seen:
        seen.add(parent)
        index = parent
    return index if parent is None else min(seen)  # in a ring of checks that explain each other, the first


def _parent(index: int, ordered: Sequence[Finding], checks: Mapping[str, Check]) -> int | None:
    finding, others = ordered[index], [each for each in range(len(ordered)) if each != index]
    explaining = [each for each in others if _explains(ordered[each], finding, checks)]
    explained = [each for each in others if _explains(finding, ordered[each], checks)]
    before = [each for each in others if each < index and _same_line(ordered[each], finding)]
    named = [each for each in explaining if each < index or each not in explained]
    return next(iter([*named, *(each for each in before if each not in explained)]), None)


def _explains(root: Finding, finding: Finding, checks: Mapping[str, Check]) -> bool:
    named = root.check in checks and finding.check in checks[root.check].explains
    covered = not root.subjects or not finding.subjects or set(finding.subjects) <= set(root.subjects)
    hides = root.severity is not Severity.DEFECT and finding.severity is Severity.DEFECT
    return named and covered and not hides


def _same_line(one: Finding, other: Finding) -> bool:
    return bool(one.cause and other.cause) and str(one.cause) == str(other.cause)


def _sentence(finding: Finding) -> str:
    path = finding.where.path or ""
    named = not path or finding.message.startswith(path)
    return f"{finding.check}: {finding.message}" if named else f"{finding.check} ({path}): {finding.message}"
