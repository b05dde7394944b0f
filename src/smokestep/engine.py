"""The engine: the three calls that examine a training, each on a world that is private and put back.

An exception of the user's step is never swallowed: the report tells it, and `verify` raises it again.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any, ParamSpec

from smokestep import config as configuration
from smokestep import facts, ledger, privacy
from smokestep.backends import Several, framework_of, sole_framework
from smokestep.check import Check
from smokestep.config import Allowance, Config
from smokestep.findings import Finding, Place, Severity, Verdict
from smokestep.judging import concluded
from smokestep.judging import ended_by as ended_by
from smokestep.judging import judge as judge
from smokestep.report import Report, Subject
from smokestep.training import Training, from_parts, kind

P = ParamSpec("P")


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

    `training` is a `Training` (run in place and put back) or a function that builds one (called afresh, so that nothing
    of the caller's is touched); or give `model`, `loss`, `optimizer` and `batch` = (inputs, targets). What is not given
    is taken from `[tool.smokestep]` in the nearest pyproject.toml (or `config`), else seed 0, 3 steps, not strict.

    A step that raises does not raise here: the report's `error` tells it. Whatever a function that builds the training
    raises goes on, and so does an interrupt. Raises `ConfigError` or `TypeError` for a wrong call.
    """
    return _examine(**locals())[0]


def _like(function: Callable[P, Report]) -> Callable[[Callable[..., Report]], Callable[P, Report]]:
    """Gives the decorated function the signature of another, for readers, editors and type checkers."""

    def give(other: Callable[..., Report]) -> Callable[P, Report]:
        vars(other)["__signature__"] = inspect.signature(function)
        return other

    return give


@_like(examine)
def verify(*arguments: Any, **keywords: Any) -> Report:
    """`examine`, and raise: `TrainingDefect` if the report fails, else `TrainingError`, from the step's own exception,
    if the step raised. Gives the report if it does neither; one in which nothing could be judged is `open`."""
    __tracebackhide__ = True  # pytest then shows the user's test, not this line
    report, raised = _examine(*arguments, **keywords)
    if report.verdict is Verdict.FAIL:
        raise TrainingDefect(report) from raised
    if raised is not None:
        raise TrainingError(report) from raised
    return report


def _examine(
    training: Training | Callable[[], Training] | None = None,
    *,
    model: Any = None,
    loss: Any = None,
    optimizer: Any = None,
    batch: Any = None,
    config: Config | str | os.PathLike[str] | None = None,
    **choices: Any,
) -> tuple[Report, BaseException | None]:
    started = time.perf_counter()
    linecache.checkcache()  # a file that was edited since: its lines are shown as they are now
    if training is None:
        training = from_parts(model, loss, optimizer, batch)
    elif any(part is not None for part in (model, loss, optimizer, batch)):
        raise TypeError("give either a training, or model=, loss=, optimizer= and batch=, not both")
    built: list[Training] = []
    source = _source(training, built)
    subject = facts.subject(training)
    settings = configuration.settle(_config(config, subject.file), **choices)
    with privacy.guard() as leaks:
        backend = _backend(source, built)
        privacy.seed_everything(settings.seed)
        with backend.open_world(source, seed=settings.seed, steps=settings.steps) as world:
            settings = settings.permitting(built[-1].allow)
            report = judge(world, settings, subject=subject, seed=settings.seed, started=started)
    if changed := tuple(world.fingerprint_changes()):
        report = replace(report, findings=(*report.findings, _changed(changed)))
    notes = (*report.notes, *(f"put back after the run: {name}" for name in leaks.settings))
    return ledger.enter(concluded(replace(report, notes=notes))), world.raised()


def _config(given: Config | str | os.PathLike[str] | None, near: str | None) -> Config:
    if isinstance(given, Config):
        return given
    return configuration.read(given) if given else configuration.find(near)


def _source(training: Any, built: list[Training]) -> Any:
    """The training, or its function, which then surely gives one; `built` holds what it gave."""
    if isinstance(training, Training):
        built.append(training)
        return training
    if hasattr(training, "parameters") or not callable(training):
        raise TypeError(
            f"examine takes a smokestep.Training or a function that builds one, got {kind(training)}; "
            "for plain parts give model=, loss=, optimizer= and batch="
        )

    @functools.wraps(training)
    def build() -> Training:
        made = training()
        if not isinstance(made, Training):
            name = getattr(training, "__name__", "the function")
            raise TypeError(f"{name}() must return a smokestep.Training, it returned {kind(made)}")
        built.append(made)
        return made

    return build


def _backend(source: Any, built: Sequence[Training]) -> ModuleType:
    """The backend of the framework that the training belongs to: it is asked where there is a choice, or none yet."""
    loaded = privacy.loaded()
    found = sole_framework((source,), loaded) if len(loaded) > 1 and not isinstance(source, Training) else None
    if found is None and len(loaded) != 1 and not isinstance(source, Training):
        with privacy.apart():
            source()  # it may import its framework itself
        loaded = privacy.loaded()
    if found is None and len(loaded) > 1:
        found = framework_of(built[-1], loaded)
    return import_module(loaded[found] if found else _loaded()[0])


def _loaded() -> list[str]:
    if backends := list(privacy.loaded().values()):
        return backends
    raise RuntimeError(f"no framework to observe: import one of {', '.join(privacy.BACKENDS)} first")


def _changed(names: tuple[str, ...]) -> Finding:
    return Finding(
        check="private-world",
        severity=Severity.SUSPICION,
        message=f"not as before the run, and smokestep could not put it back: {', '.join(names)}",
        where=Place(", ".join(names)),
        hint="hand over a function that builds the training: it is then run on objects of its own",
        subjects=names,
    )


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
def watch(
    steps: int | None = None,
    *,
    config: Config | str | os.PathLike[str] | None = None,
    **choices: Any,
) -> Iterator[Watched]:
    """Watch the first optimizer steps of the loop inside the block; it runs as ever, and nothing is put back.

    `choices` are those of `examine`. If the block raises, the report says so and the exception goes on.
    """
    started, frame = time.perf_counter(), facts.calling_frame()
    subject = Subject("watch", frame.f_code.co_filename, frame.f_lineno, live=True)
    settings = configuration.settle(_config(config, subject.file), steps=steps, **choices)
    watched = Watched()
    error: BaseException | None = None
    with ExitStack() as stack:
        lives = [stack.enter_context(import_module(each).live(settings.steps)) for each in _loaded()]
        live = lives[0] if len(lives) == 1 else Several(lives)
        try:
            yield watched
        except BaseException as exception:
            error = exception
            raise
        finally:
            calm = error is None or isinstance(error, Exception)  # whoever interrupts does not want to wait
            report = judge(live, settings, subject=subject, started=started, experiments=calm)
            watched._report = ledger.enter(ended_by(report, error) if error else report)
