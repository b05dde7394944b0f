"""Report: what one examination found, as a value that survives JSON unchanged.

The JSON is a contract (docs/report-schema.json); `SCHEMA` rises when a key changes its meaning or goes away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from smokestep.findings import Finding, Line, Place, Severity, Verdict

SCHEMA = 1
OWN = ("private-world", "unused-allowance")  # findings that no check makes: there is no page, and no allowing them


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check, with the reason where the verdict alone does not tell. `gap`: it is not judged in this
    framework, whatever the training."""

    verdict: Verdict
    reason: str = ""
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """The training that was examined: its name and place, parameter counts by model, classes by optimizer.

    `live`: it was watched as it ran, by `run` or `watch`.
    """

    name: str = ""
    file: str | None = None
    line: int | None = None
    models: Mapping[str, int] = field(default_factory=dict)
    optimizers: Mapping[str, str] = field(default_factory=dict)
    live: bool = False


@dataclass(frozen=True, slots=True)
class Raised:
    """The exception that ended the recording, after how many complete steps, and the user's line."""

    message: str
    completed: int
    line: Line | None = None

    def __str__(self) -> str:
        place = f" at {self.line}" if self.line else ""
        return (
            f"the step raised {self.message}{place}, after {self.completed} complete step{'s'[: self.completed != 1]}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What one examination found.

    `verdict`: `fail` if there is a defect (under `strict` also a suspicion); else `open` if the step raised, or if no
    check came to a judgement (all are open or not applicable); else `pass`. `findings` are told once per cause and are
    not allowed ones; `allowed` pairs the others with the reason given. `notes` are facts that are no fault.
    `left_out` are the checks that were not selected, `on_request` those that run only if they are asked for. `cost` is
    in seconds by part, `ratio` is total over steps; `experiments`: the seconds of each one, which are a part of it.
    `inferred`: what was taken to be so, as nobody declared it.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    checks: Mapping[str, Outcome] = field(default_factory=dict)
    training: Subject = Subject()
    seed: int | None = None
    steps: int = 0
    strict: bool = False
    cost: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[tuple[Finding, str], ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: Raised | None = None
    on_request: tuple[str, ...] = ()
    experiments: Mapping[str, float] = field(default_factory=dict)
    inferred: tuple[str, ...] = ()

    @property
    def defects(self) -> tuple[Finding, ...]:
        """The findings that are certain."""
        return tuple(each for each in self.findings if each.severity is Severity.DEFECT)

    @property
    def suspicions(self) -> tuple[Finding, ...]:
        """The findings that are heuristic."""
        return tuple(each for each in self.findings if each.severity is Severity.SUSPICION)

    def count(self, verdict: Verdict) -> int:
        """How many checks ended with this verdict."""
        return sum(outcome.verdict is verdict for outcome in self.checks.values())

    def __str__(self) -> str:
        from smokestep.render.text import render

        return render(self, width=100, color=False)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values, by the documented schema."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "findings": [_finding_out(each) for each in self.findings],
            "checks": {
                name: {"verdict": outcome.verdict.value, "reason": outcome.reason, "gap": outcome.gap}
                for name, outcome in self.checks.items()
            },
            "training": asdict(self.training),
            "seed": self.seed,
            "steps": self.steps,
            "strict": self.strict,
            "cost": dict(self.cost),
            "versions": dict(self.versions),
            "allowed": [{"finding": _finding_out(each), "why": why} for each, why in self.allowed],
            "left_out": list(self.left_out),
            "notes": list(self.notes),
            "error": asdict(self.error) if self.error else None,
            "on_request": list(self.on_request),
            "experiments": dict(self.experiments),
            "inferred": list(self.inferred),
        }

    def to_json(self, *, indent: int | None = 2) -> str:
        """The report as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """The report that `to_dict` gave. Raises `ValueError` for another schema version, or if it is no report."""
        if values.get("schema") != SCHEMA:
            raise ValueError(f"this report has schema {values.get('schema')!r}; this smokestep reads schema {SCHEMA}")
        try:
            return cls._read(values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no smokestep report: {error!r}") from error

    @classmethod
    def _read(cls, values: Mapping[str, Any]) -> Report:
        error = values["error"]
        return cls(
            verdict=Verdict(values["verdict"]),
            findings=tuple(map(_finding_in, values["findings"])),
            checks={
                name: Outcome(Verdict(each["verdict"]), each["reason"], each.get("gap", False))
                for name, each in values["checks"].items()
            },
            training=Subject(**values["training"]),
            seed=values["seed"],
            steps=values["steps"],
            strict=values["strict"],
            cost=values["cost"],
            versions=values["versions"],
            allowed=tuple((_finding_in(each["finding"]), each["why"]) for each in values["allowed"]),
            left_out=tuple(values["left_out"]),
            notes=tuple(values["notes"]),
            error=Raised(error["message"], error["completed"], _line_in(error["line"])) if error else None,
            on_request=tuple(values.get("on_request", ())),
            experiments=values.get("experiments", {}),
            inferred=tuple(values.get("inferred", ())),
        )

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` gave."""
        return cls.from_dict(json.loads(text))


def _finding_out(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "severity": finding.severity.value if finding.severity else None,
        "message": finding.message,
        "where": asdict(finding.where),
        "cause": asdict(finding.cause) if finding.cause else None,
        "hint": finding.hint,
        "consequences": list(finding.consequences),
        "data": plain(finding.data),
        "subjects": list(finding.subjects),
        "related": [{**asdict(line), "note": note} for line, note in finding.related],
    }


def _finding_in(values: Mapping[str, Any]) -> Finding:
    return Finding(
        message=values["message"],
        where=Place(**values["where"]),
        cause=_line_in(values["cause"]),
        hint=values["hint"],
        severity=Severity(values["severity"]) if values["severity"] else None,
        subjects=tuple(values["subjects"]),
        related=tuple(
            (Line(**{key: value for key, value in each.items() if key != "note"}), each["note"])
            for each in values["related"]
        ),
        data=values["data"],
        consequences=tuple(values["consequences"]),
        check=values["check"],
    )


def _line_in(values: Mapping[str, Any] | None) -> Line | None:
    return Line(**values) if values else None


def plain(value: Any) -> Any:
    """JSON has no tuples, no NaN and only string keys."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
