"""The engine: opens a private world, gathers each evidence once, lets the checks judge, and collects the report.

Nothing that fails here prints green: a probe or check that breaks leaves its verdict `open`, with the reason.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

from smokestep import causes, facts, ledger, privacy
from smokestep import config as configuration
from smokestep.check import Check
from smokestep.config import Allowance, Config, ConfigError, Settings
from smokestep.evidence import Of
from smokestep.findings import Finding, NotApplicable, Open, Place, Severity, Verdict
from smokestep.report import Outcome, Raised, Report, Subject, plain
from smokestep.training import Training, from_parts, kind
from smokestep.world import Live, NotOffered, Recording, World


class TrainingDefect(AssertionError):
    """The training has a defect (or, under `strict`, a suspicion); `report` is the whole report."""

    def __init__(self, report: Report, text: str | None = None) -> None:
        super().__init__(text or str(report))
        self.report = report


class TrainingError(RuntimeError):
    """The step raised, so that the training could not be judged; `report` tells what was seen up to then."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


def examine(
    training: Training | Callable[[], Training] | None = None,
    *,
    model: Any = None,
    loss: Callable[..., Any] | None = None,
    optimizer: Any = None,
    batch: Any = None,
    select: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    allow: Sequence[Allowance] = (),
    strict: bool | None = None,
    seed: int | None = None,
    steps: int | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    checks: Sequence[Check] = (),
    config: Config | str | os.PathLike[str] | None = None,
) -> Report:
    """Run the training's own step a few times on a private world, and report what is wrong with it.

    `training` is a `Training` (run in place and put back) or a function that builds one (called afresh, nothing of the
    caller's is touched); or give `model`, `loss`, `optimizer` and `batch` = (inputs, targets). What is not given is
    taken from `[tool.smokestep]` in the nearest pyproject.toml (or `config`), else seed 0, 3 steps, not strict.

    A step that raises does not raise here: the report's `error` tells it. `verify` raises.
    """
    return _examine(**locals())[0]


def verify(training: Training | Callable[[], Training] | None = None, **keywords: Any) -> Report:
    """`examine`, and raise `TrainingDefect` if the report fails, `TrainingError` from the step's own exception if it
    raised and no finding tells why, or if nothing could be judged. Gives the report when it passes."""
    __tracebackhide__ = True  # pytest then shows the caller's line, and the report as the message
    report, raised = _examine(training, **keywords)
    if report.verdict is Verdict.FAIL:
        raise TrainingDefect(report) from raised
    if raised is not None:
        raise TrainingError(report) from raised
    return report


def _examine(
    training: Training | Callable[[], Training] | None = None,
    *,
    model: Any = None,
    loss: Callable[..., Any] | None = None,
    optimizer: Any = None,
    batch: Any = None,
    config: Config | str | os.PathLike[str] | None = None,
    allow: Sequence[Allowance] = (),
    **choices: Any,
) -> tuple[Report, BaseException | None]:
    started = time.perf_counter()
    if training is None:
        training = from_parts(model, loss, optimizer, batch)
    elif any(part is not None for part in (model, loss, optimizer, batch)):
        raise TypeError("give either a training, or model=, loss=, optimizer= and batch=, not both")
    factory = _builder(training)
    subject = facts.subject(training)
    if not isinstance(config, Config):
        config = configuration.read(config) if config else configuration.find(subject.file)
    declared = training.allow if isinstance(training, Training) else ()
    settings = configuration.settle(config, allow=(*declared, *allow), **choices)
    with privacy.guard() as leaks:
        privacy.seed_everything(settings.seed)
        with _backend(factory).open_world(factory, seed=settings.seed, steps=settings.steps) as world:
            report = judge(world, settings, subject=subject, seed=settings.seed, started=started)
    changed = tuple(world.fingerprint_changes())
    if changed:
        report = replace(report, findings=(*report.findings, _touched(changed)))
    notes = tuple(f"put back after the run: {name}" for name in leaks.settings)
    report = _verdict(replace(report, notes=(*report.notes, *notes)))
    return ledger.enter(report), world.raised()


class Watched:
    """A running watch; `report` is there once the block has ended."""

    def __init__(self) -> None:
        self._report: Report | None = None

    @property
    def report(self) -> Report:
        """What was found. Raises `RuntimeError` while the block still runs."""
        if self._report is None:
            raise RuntimeError("the report is ready when the `with smokestep.watch()` block has ended")
        return self._report


@contextmanager
def watch(steps: int | None = None, **choices: Any) -> Iterator[Watched]:
    """Watch the first optimizer steps of the loop inside the block; it runs as ever, and nothing is put back.

    `choices` are those of `examine`. If the block raises, the report says so and the exception goes on.
    """
    started = time.perf_counter()
    config = choices.pop("config", None)
    if not isinstance(config, Config):
        config = configuration.read(config) if config else configuration.find()
    settings = configuration.settle(config, steps=steps, **choices)
    watched = Watched()
    error: BaseException | None = None
    with _backend(None).live(settings.steps) as live:
        try:
            yield watched
        except BaseException as exception:
            error = exception
            raise
        finally:
            report = judge(live, settings, started=started)
            watched._report = ledger.enter(ended_by(report, error) if error else report)


def judge(
    world: World | Live,
    settings: Settings,
    *,
    subject: Subject = Subject(),
    seed: int | None = None,
    started: float | None = None,
) -> Report:
    """Gather what the selected checks need from an open world, let them judge, and report.

    A step that raised is judged by the checks that declare `partial`; the others see the complete steps only.
    """
    started = time.perf_counter() if started is None else started
    try:
        recording = world.recording()
    except ConfigError:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, NotOffered) else f"the recording itself failed: {facts.told(error)}"
        outcomes = {each.name: Outcome(Verdict.OPEN, reason) for each in settings.checks}
        report = Report(Verdict.OPEN, checks=outcomes, training=subject, seed=seed, left_out=settings.left_out)
        return replace(report, strict=settings.strict, versions=facts.versions(world), notes=(reason,))
    recorded = time.perf_counter()
    whole = _gathering(world)
    complete = whole if recording.steps.error is None else _gathering(_Complete(recording.completed()))
    found: list[Finding] = []
    allowed: list[tuple[Finding, str]] = []
    used: set[Allowance] = set()
    outcomes = {}
    for check in settings.checks:
        findings, outcome = _run(check, whole if check.partial else complete, settings.options.get(check.name, {}))
        kept = []
        for finding in findings:
            permit = next((each for each in settings.allow if each.covers(finding)), None)
            if permit is None:
                kept.append(finding)
            else:
                used.add(permit)
                allowed.append((finding, permit.why))
        if findings and not kept:
            outcome = Outcome(
                Verdict.PASS, f"allowed: {'; '.join(dict.fromkeys(why for _, why in allowed[-len(findings) :]))}"
            )
        outcomes[check.name] = outcome
        found += kept
    ran = {check.name for check in settings.checks}
    unused = [each for each in settings.allow if each not in used and each.check in ran]
    told = causes.merged(
        [*found, *map(_unused, dict.fromkeys(unused))], {check.name: check for check in settings.checks}
    )
    steps, ended = recording.steps, time.perf_counter()
    completed = recording.complete
    raised = Raised(steps.error, completed, steps.error_line) if steps.error else None
    return _verdict(
        Report(
            Verdict.OPEN,
            findings=told,
            checks=outcomes,
            training=replace(
                subject,
                models=facts.model_sizes(recording),
                optimizers={each.name: each.kind for each in steps.optimizers},
            ),
            seed=seed,
            steps=completed,
            strict=settings.strict,
            cost={
                "steps": recording.seconds,
                "recording": recorded - started,
                "judging": ended - recorded,
                "total": ended - started,
                "ratio": (ended - started) / recording.seconds if recording.seconds else 0.0,
            },
            versions=facts.versions(world),
            allowed=tuple(allowed),
            left_out=settings.left_out,
            error=raised,
        )
    )


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
        return findings, Outcome(Verdict.OPEN, str(missing))
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


class _Missing(Exception):
    """Evidence that could not be gathered, with the reason."""


class _Complete:
    """A world whose recording ends with the last complete step."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def recording(self) -> Recording:
        if not self._recording.steps.count:
            raise _Missing("the step raised before it was complete")
        return self._recording


def _gathering(world: Any) -> Of:
    memo: dict[type[Any], Any] = {}

    def of(kind: type[Any]) -> Any:
        if kind not in memo:
            try:
                memo[kind] = kind.gather(world, of)
            except _Missing as missing:
                memo[kind] = missing
            except NotOffered as error:
                memo[kind] = _Missing(str(error))
            except Exception as error:
                memo[kind] = _Missing(f"gathering {kind.__name__} failed: {facts.told(error)}")
        if isinstance(memo[kind], _Missing):
            raise memo[kind]
        return memo[kind]

    return of


def _verdict(report: Report) -> Report:
    failed = report.defects or (report.strict and report.findings)
    told = report.count(Verdict.PASS) + report.count(Verdict.FAIL)
    verdict = Verdict.FAIL if failed else Verdict.OPEN if report.error or not told else Verdict.PASS
    return replace(report, verdict=verdict)


def _unused(allowance: Allowance) -> Finding:
    return Finding(
        check="unused-allowance",
        severity=Severity.SUSPICION,
        message=f"{allowance!r} permits nothing that was found",
        where=Place(allowance.where),
        hint="remove it, or correct its pattern: it would hide a later finding",
    )


def _touched(names: tuple[str, ...]) -> Finding:
    return Finding(
        check="private-world",
        severity=Severity.SUSPICION,
        message=f"smokestep could not put back as it was: {', '.join(names)}",
        where=Place(", ".join(names)),
        hint="hand over a function that builds the training: it is then run on objects of its own",
        subjects=names,
    )


def _builder(training: Any) -> Any:
    if isinstance(training, Training):
        return training
    if hasattr(training, "parameters") or not callable(training):
        raise TypeError(
            f"examine takes a smokestep.Training or a function that builds one, got {kind(training)}; "
            "for plain parts give model=, loss=, optimizer= and batch="
        )

    @functools.wraps(training)
    def build() -> Training:
        built = training()
        if not isinstance(built, Training):
            name = getattr(training, "__name__", "the function")
            raise TypeError(f"{name}() must return a smokestep.Training, it returned {kind(built)}")
        return built

    return build


def _backend(factory: Any) -> ModuleType:
    if not privacy.loaded() and callable(factory):
        factory()  # it may import its framework itself
    for backend in privacy.loaded().values():
        return import_module(backend)
    raise RuntimeError(f"no framework to observe: import one of {', '.join(privacy.BACKENDS)} first")


def ended_by(report: Report, error: BaseException) -> Report:
    """The report of a loop that this exception ended; the step's own error, if it is known, comes first."""
    return _verdict(
        replace(report, error=report.error or Raised(facts.told(error), report.steps, facts.line_of(error)))
    )
