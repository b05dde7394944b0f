"""Judging: gathers each evidence once, lets the checks judge it, and makes the report.

Nothing that fails here prints green: a probe or check that breaks leaves its verdict `open`, with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from smokestep import causes, facts
from smokestep.check import Check
from smokestep.config import Allowance, ConfigError, Settings
from smokestep.evidence import Of
from smokestep.findings import Finding, NotApplicable, Open, Place, Severity, Verdict
from smokestep.report import Outcome, Raised, Report, Subject, plain
from smokestep.world import Live, NotOffered, Recording, World


def judge(
    world: World | Live,
    settings: Settings,
    *,
    subject: Subject | None = None,
    seed: int | None = None,
    started: float | None = None,
    experiments: bool = True,
) -> Report:
    """Gather what the selected checks need from an open world, let them judge, and report.

    A step that raised is judged by the checks that declare `partial`; the others see the complete steps only.
    `started` is when the examination began (`time.perf_counter`), for its cost. Without `experiments` the recording is
    all that is judged. Raises `ConfigError` for a declaration that names something unknown, and nothing else.
    """
    started = time.perf_counter() if started is None else started
    empty = Report(
        Verdict.OPEN,
        training=subject or Subject(),
        seed=seed,
        strict=settings.strict,
        versions=facts.versions(world),
        left_out=settings.left_out,
        on_request=settings.on_request,
    )
    try:
        recording = world.recording()
    except ConfigError:
        raise
    except Exception as error:
        why = str(error) if isinstance(error, NotOffered) else f"the recording itself failed: {facts.told(error)}"
        return replace(empty, notes=(why,), checks={each.name: Outcome(Verdict.OPEN, why) for each in settings.checks})
    recorded = time.perf_counter()
    gathered: Gathered = {}
    source = world if experiments else _Recorded(recording, "the loop was cut off, so no experiment was made")
    outcomes, findings, allowed = _judged(source, recording, settings, gathered, world)
    steps, ended = recording.steps, time.perf_counter()
    cost = {"steps": recording.seconds, "recording": recorded - started, "judging": ended - recorded}
    report = replace(
        empty,
        findings=causes.merged(findings, {check.name: check for check in settings.checks}),
        checks=outcomes,
        training=replace(
            empty.training,
            models=facts.model_sizes(recording),
            optimizers={each.name: each.kind for each in steps.optimizers},
        ),
        steps=recording.complete,
        cost={**cost, "total": ended - started, "ratio": (ended - started) / max(recording.seconds, 1e-9)},
        allowed=tuple((finding, allowance.why) for finding, allowance in allowed),
        experiments={
            kind.__name__.lower(): seconds for kind, (_, seconds) in gathered.items() if hasattr(kind, "experiment")
        },
        inferred=tuple(each for value, _ in gathered.values() for each in getattr(value, "inferred", ())),
        error=Raised(steps.error, recording.complete, steps.error_line) if steps.error else None,
    )
    return concluded(report)


def concluded(report: Report) -> Report:
    """The report with the verdict that its findings, checks and error give."""
    failed = report.defects or (report.strict and report.findings)
    told = report.count(Verdict.PASS) + report.count(Verdict.FAIL)
    verdict = Verdict.FAIL if failed else Verdict.OPEN if report.error or not told else Verdict.PASS
    return replace(report, verdict=verdict)


def ended_by(report: Report, error: BaseException) -> Report:
    """The report of a loop that this exception ended; the step's own error, if it is known, comes first."""
    raised = Raised(facts.told(error), report.steps, facts.line_of(error))
    return concluded(replace(report, error=report.error or raised))


def _judged(
    world: World | Live | _Recorded,
    recording: Recording,
    settings: Settings,
    gathered: Gathered,
    backend: World | Live,
) -> tuple[dict[str, Outcome], list[Finding], list[tuple[Finding, Allowance]]]:
    whole = _gathering(world, gathered)
    complete = whole if recording.steps.error is None else _gathering(_Recorded(recording.completed(), RAISED), {})
    outcomes: dict[str, Outcome] = {}
    found: list[Finding] = []
    allowed: list[tuple[Finding, Allowance]] = []
    gaps, words = backend.gaps(), backend.words()
    for check in settings.checks:
        of, options = whole if check.partial else complete, settings.options.get(check.name, {})
        if gap := gaps.get(check.name):
            verdict = Verdict.OPEN if isinstance(gap, Open) else Verdict.NOT_APPLICABLE
            outcomes[check.name] = Outcome(verdict, gap.reason, gap=True)
            continue
        findings, outcome = _run(check, of, options)
        findings = [_worded(each, words) for each in findings]
        permits = [(each, _permit(each, settings.allow)) for each in findings]
        permitted = [(each, permit) for each, permit in permits if permit is not None]
        if permitted and len(permitted) == len(findings):
            reasons = dict.fromkeys(permit.why for _, permit in permitted)
            outcome = Outcome(Verdict.PASS, f"allowed: {'; '.join(reasons)}")
        outcomes[check.name] = outcome
        found += [each for each, permit in permits if permit is None]
        allowed += permitted
    used = {id(permit) for _, permit in allowed}
    names = [each.name for each in recording.steps.parameters]
    unused = [
        each
        for each in settings.allow
        if id(each) not in used and each.check in outcomes and (not each.project or _concerns(each, names))
    ]
    return outcomes, [*found, *map(_unused, unused)], allowed


def _permit(finding: Finding, allowances: Sequence[Allowance]) -> Allowance | None:
    return next((each for each in allowances if each.covers(finding)), None)


def _concerns(allowance: Allowance, names: Sequence[str]) -> bool:
    """Whether a project's allowance is about this one of its trainings: it may have others."""
    return allowance.where != "*" and any(map(allowance.matches, names))


def _unused(allowance: Allowance) -> Finding:
    return Finding(
        check="unused-allowance",
        severity=Severity.SUSPICION,
        message=f"{allowance!r} permits nothing that was found",
        where=Place(allowance.where),
        hint="remove it, or correct its pattern: it would hide a later finding",
    )


def _worded(finding: Finding, words: Sequence[tuple[str, str]]) -> Finding:
    """The finding in the words of the framework that it is about."""

    def say(text: str) -> str:
        for ours, theirs in words:
            text = text.replace(ours, theirs)
        return text

    related = tuple((line, say(note)) for line, note in finding.related)
    return replace(finding, message=say(finding.message), hint=say(finding.hint), related=related)


def _run(check: Check, of: Of, options: Mapping[str, Any]) -> tuple[list[Finding], Outcome]:
    findings: list[Finding] = []
    reasons: dict[type, str] = {}
    try:
        for said in check.judge(*(of(kind) for kind in check.needs), **options):
            if isinstance(said, Finding):
                findings.append(_stamped(said, check))
            else:
                reasons.setdefault(type(said), said.reason)
    except _Missing as missing:
        reasons[Open] = str(missing)
    except Exception as error:
        reasons[Open] = f"the check itself failed: {facts.told(error)}"
    if findings:
        return findings, Outcome(Verdict.FAIL, reasons.get(Open, ""))
    if Open in reasons:
        return [], Outcome(Verdict.OPEN, reasons[Open])
    if NotApplicable in reasons:
        return [], Outcome(Verdict.NOT_APPLICABLE, reasons[NotApplicable])
    return [], Outcome(Verdict.PASS)


def _stamped(finding: Finding, check: Check) -> Finding:
    certain = check.severity is Severity.DEFECT and finding.severity is not Severity.SUSPICION
    severity = Severity.DEFECT if certain else Severity.SUSPICION
    return replace(finding, check=check.name, severity=severity, data=plain(finding.data))


RAISED = "the step raised, so no experiment was made with its model"
Gathered: TypeAlias = dict[type[Any], tuple[Any, float]]


class _Missing(Exception):
    """Evidence that could not be gathered, with the reason."""


class _Recorded:
    """What is offered of a world in which nothing more can be run: what was recorded; `why` says the reason."""

    def __init__(self, recording: Recording, why: str) -> None:
        self._recording, self._why = recording, why

    def recording(self) -> Recording:
        if not self._recording.steps.count:
            raise _Missing("the step raised before it was complete")
        return self._recording

    def __getattr__(self, verb: str) -> Any:
        raise _Missing(self._why)


def _gathering(world: Any, memo: Gathered) -> Of:
    """Gives evidence, each gathered once; `memo` keeps it, with the seconds that it alone took."""
    within = [0.0]  # seconds spent on other evidence by what is being gathered, innermost last

    def of(kind: type[Any]) -> Any:
        if kind not in memo:
            started = time.perf_counter()
            within.append(0.0)
            try:
                value = kind.gather(world, of)
            except _Missing as missing:
                value = missing
            except NotOffered as error:
                value = _Missing(str(error))
            except Exception as error:
                value = _Missing(f"gathering {kind.__name__} failed: {facts.told(error)}")
            whole = time.perf_counter() - started
            memo[kind] = value, whole - within.pop()
            within[-1] += whole
        if isinstance(memo[kind][0], _Missing):
            raise memo[kind][0]
        return memo[kind][0]

    return of
