"""Sessions: a private world for a training that builds a TensorFlow 1 graph and runs it with `Session.run`.

The user's function builds everything on a default graph of its own, and the one that was there before is put back.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

import tensorflow as tf
from tensorflow.python.client.session import BaseSession
from tensorflow.python.eager import context

from smokestep.backends import gaps
from smokestep.backends.tensorflow import graph_lines, session_runs
from smokestep.backends.tensorflow.graph_default import own_default_graph
from smokestep.backends.tensorflow.graph_marks import Marks, hearing
from smokestep.backends.tensorflow.session_assembly import Assembly
from smokestep.backends.tensorflow.session_runs import Runs
from smokestep.backends.tensorflow.session_words import WORDS
from smokestep.evidence.lab import Lab
from smokestep.evidence.loaders import Loader
from smokestep.findings import NotApplicable, Open
from smokestep.training import Training
from smokestep.world import NotOffered, Recording

SESSIONS = frozenset("Session InteractiveSession MonitoredSession MonitoredTrainingSession".split())
PATIENCE = 17  # step calls without an update before "it never updates" is believed


class SessionWorld:
    """One private world of a training with sessions, and its one recording."""

    def __init__(self, training: Training, runs: Runs, steps: int, whole: bool) -> None:
        self._training, self._runs, self._steps, self._whole = training, runs, steps, whole
        self._recording: Recording | None = None
        self._raised: BaseException | None = None

    def recording(self) -> Recording:
        """Run the step and record it; the same recording on every call."""
        if not self._whole:
            raise NotOffered(
                "a graph must be built where smokestep hears it: hand over a function that builds the training "
                "(graph, session and step), not the finished training"
            )
        if self._recording is None:
            self._recording = self._record()
        return self._recording

    def raised(self) -> BaseException | None:
        """The exception of the user's step that ended the recording, if one did."""
        return self._raised

    def lab(self) -> Lab:
        """Experiments: not offered."""
        raise NotOffered("experiments on a session's graph are not made yet: it was only watched")

    def loaders(self) -> tuple[Loader, ...]:
        """Data loaders: not seen."""
        raise NotOffered("what feeds a session's graph is not looked into")

    def fingerprint_changes(self) -> tuple[str, ...]:
        """Nothing outlives the private graph."""
        return ()

    def describe(self) -> Mapping[str, str]:
        """The framework and its version."""
        return {"framework": f"tensorflow {tf.__version__} (graph and session)"}

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """The checks that are not judged on a session's graph."""
        return gaps.SESSIONS

    def words(self) -> Sequence[tuple[str, str]]:
        """What is said of a session's graph instead of torch's words."""
        return WORDS

    def _record(self) -> Recording:
        runs, training = self._runs, self._training
        arguments = (training.batch,) if training.has_batch else ()
        names: list[str] = []
        returned: list[float | None] = []
        error: tuple[BaseException, Any] | None = None
        started = time.perf_counter()
        try:
            while len(names) < self._steps * len(training.steps) or self._wants_more(len(names)):
                for name, step in training.steps.items():
                    names.append(name)
                    runs.step = len(names) - 1
                    returned.append(_number(step(*arguments)))
        except Exception as raised:
            self._raised = raised
            error = raised, _where(raised)
            returned.append(None)
        finally:
            runs.step = -1
        seconds = time.perf_counter() - started
        if runs.failure and error is None:
            raise NotOffered(f"the numbers of a run could not be fetched beside its own: {runs.failure}")
        if not runs.found and error is None:
            raise NotOffered("no step ran a session, so nothing was seen")
        with context.graph_mode():  # else a variable that lies in a graph does not tell its operation
            return Assembly(runs, training, names, returned, error, seconds).recording()

    def _wants_more(self, done: int) -> bool:
        runs = self._runs
        with context.graph_mode():
            updated = any(runs.applied(ran) for ran in runs.found) or any(_changed(ran) for ran in runs.found)
        return not updated and bool(runs.marks.applied) and done < PATIENCE


def _changed(ran: session_runs.Ran) -> bool:
    return any(name in ran.after and (ran.after[name] != value).any() for name, value in ran.before.items())


def _number(returned: Any) -> float | None:
    if isinstance(returned, (tuple, list)):
        numbers = [each for item in returned if (each := _number(item)) is not None]
        return numbers[0] if len(numbers) == 1 else None
    if isinstance(returned, bool) or returned is None:
        return None
    try:
        return float(returned) if getattr(returned, "size", 1) == 1 else None
    except (TypeError, ValueError):
        return None


def _where(error: BaseException) -> Any:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    inner, own = graph_lines.lines_in(reversed(frames))
    return own[0] if own else inner


def wanted(subject: Training | Callable[[], Training]) -> bool:
    """Whether a training runs sessions: nothing runs eagerly, or its code makes a session, or its step holds one."""
    if not context.executing_eagerly():
        return True
    if isinstance(subject, Training):
        return any(isinstance(each, BaseSession) for step in subject.steps.values() for each in _held(step))
    return _names_session(
        getattr(inspect.unwrap(subject), "__code__", None), getattr(subject, "__globals__", {}), set()
    )


def _held(function: Any) -> Iterator[Any]:
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _names_session(code: Any, variables: Mapping[str, Any], seen: set[Any]) -> bool:
    """Whether a function, or one of its module that it calls, mentions a session."""
    if code is None or code in seen:
        return False
    seen.add(code)
    if SESSIONS.intersection(code.co_names):
        return True
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    for name in code.co_names:
        called = variables.get(name)
        own = (called, *vars(called).values()) if isinstance(called, type) else (called,)
        inner += [each.__code__ for each in own if isinstance(each, FunctionType) and each.__globals__ is variables]
    return any(_names_session(each, variables, seen) for each in inner)


@contextmanager
def open_world(subject: Training | Callable[[], Training], *, seed: int, steps: int) -> Iterator[SessionWorld]:
    """A private world: the function builds its graph here, heard, on a default graph of its own."""
    marks = Marks()
    runs = Runs(marks)
    with own_default_graph(seed), hearing(marks), session_runs.watched(runs):
        training = subject if isinstance(subject, Training) else subject()
        yield SessionWorld(training, runs, steps, whole=not isinstance(subject, Training))
