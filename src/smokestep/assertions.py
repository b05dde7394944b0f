"""Assertions for a hand-written test: `with smokestep.trains(G), smokestep.untouched(D): g_step(batch)`.

They look at parameters before and after, and at the gradients between; nothing is recorded, and nothing put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, TypeAlias

from smokestep import facts
from smokestep.backends import module_for
from smokestep.engine import TrainingDefect
from smokestep.findings import Finding, Line, Place, Severity, Verdict
from smokestep.report import Report, Subject
from smokestep.world import Motion

Judge: TypeAlias = Callable[[Sequence[Motion]], dict[str, str]]  # what is wrong, by tensor


def trains(*things: Any) -> AbstractContextManager[None]:
    """Assert that the block trains every parameter of these modules, parameters or optimizers.

    Each must have moved, and, if `backward` brought a gradient to any of them, on a gradient of its own: weight decay
    alone does not train. Raises `TrainingDefect` at the end of the block, naming those that were not trained.
    """
    return _block("trains", things, _untrained)


def untouched(*things: Any) -> AbstractContextManager[None]:
    """Assert that the block leaves all parameters and buffers of these as they are, bit for bit.

    Running statistics of normalization layers are left out. Raises `TrainingDefect`, naming what moved and how far.
    """
    return _block("untouched", things, _moved)


def _block(word: str, things: Sequence[Any], judge: Judge) -> AbstractContextManager[None]:
    frame = facts.calling_frame()
    line = Line(frame.f_code.co_filename, frame.f_lineno)
    return _asserted(word, _named(word, things, frame), line, judge)


def _named(word: str, things: Sequence[Any], frame: FrameType) -> Mapping[str, Any]:
    """The things by the name of the caller's variable that holds them, else by their class."""
    if not things:
        raise TypeError(f"{word}() needs at least one module, parameter or optimizer")
    named: dict[str, Any] = {}
    for thing in things:
        variables = {**frame.f_globals, **frame.f_locals}
        name = next((name for name, value in variables.items() if value is thing), type(thing).__name__)
        named[name if name not in named else f"{name} ({len(named)})"] = thing
    return named


@contextmanager
def _asserted(word: str, things: Mapping[str, Any], line: Line, judge: Judge) -> Iterator[None]:
    __tracebackhide__ = True  # pytest then shows the user's block
    ended = module_for(tuple(things.values()), "motion").observe(things)
    motions: Sequence[Motion] = ()
    try:
        yield
    finally:
        motions = ended()
    if not motions:
        raise TypeError(f"{word}({', '.join(things)}): there is no parameter or buffer in it")
    if wrong := judge(motions):
        raise _defect(word, line, wrong, len(motions))


def _untrained(motions: Sequence[Motion]) -> dict[str, str]:
    parameters = [each for each in motions if each.parameter]
    by_gradient = any(each.gradient for each in parameters)
    wrong = {}
    for each in parameters:
        if not each.moved and not each.trainable:
            wrong[each.name] = "is frozen (requires_grad is False)"
        elif not each.moved and each.gradient:
            wrong[each.name] = (
                f"did not move, though its gradient reaches {each.gradient:.3g}: in no optimizer, or lost"
            )
        elif not each.moved and not each.watched:
            wrong[each.name] = "did not move"
        elif not each.moved:
            wrong[each.name] = f"did not move: {'no' if each.gradient is None else 'only a zero'} gradient reached it"
        elif by_gradient and each.trainable and not each.gradient:
            wrong[each.name] = f"moved by {each.distance:.3g} without a gradient: weight decay or momentum alone"
    return wrong


def _moved(motions: Sequence[Motion]) -> dict[str, str]:
    return {each.name: f"moved by {each.distance:.3g}" for each in motions if each.moved and not each.statistic}


def _defect(word: str, line: Line, wrong: Mapping[str, str], among: int) -> TrainingDefect:
    must = "trained" if word == "trains" else "left untouched"
    message = f"{len(wrong)} of {among} tensors were not {must}:"
    told = "\n".join(f"    {name} {what}" for name, what in wrong.items())
    finding = Finding(
        check=word,
        severity=Severity.DEFECT,
        message=f"{message}\n{told}",
        where=Place.of(", ".join(wrong), line),
        cause=line,
        subjects=tuple(wrong),
    )
    report = Report(Verdict.FAIL, (finding,), training=Subject(word, line.file, line.line), versions=facts.versions())
    return TrainingDefect(report, f"{line}: {message}\n{told}")
