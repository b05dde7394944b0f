"""Sessions: a private world for a training that builds a TensorFlow 1 graph and runs it with `Session.run`.

The user's function builds everything on a default graph of its own, and the one that was there before is put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import func_graph, ops, stack

from smokestep.backends.tensorflow import graph_lines, session_runs
from smokestep.backends.tensorflow.graph_marks import Marks, hearing
from smokestep.backends.tensorflow.session_assembly import Assembly
from smokestep.backends.tensorflow.session_gaps import GAPS, WORDS
from smokestep.backends.tensorflow.session_runs import Runs
from smokestep.evidence.lab import Lab
from smokestep.evidence.loaders import Loader
from smokestep.findings import NotApplicable, Open
from smokestep.training import Training
from smokestep.world import NotOffered, Recording

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
        return GAPS

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
        return Assembly(runs, training, names, returned, error, seconds).recording()

    def _wants_more(self, done: int) -> bool:
        runs = self._runs
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


def wanted(training: Training) -> bool:
    """Whether what was built runs sessions: it built a graph, and is no eager training."""
    return not context.executing_eagerly() or _holds_session(training)


def _holds_session(training: Training) -> bool:
    from tensorflow.python.client import session

    for step in training.steps.values():
        function = getattr(step, "func", step)
        cells = getattr(function, "__closure__", None) or ()
        for cell in cells:
            try:
                if isinstance(cell.cell_contents, (session.BaseSession, ops.Graph)):
                    return True
            except ValueError:
                continue
    return False


@contextmanager
def open_world(
    subject: Training | Callable[[], Training], *, seed: int, steps: int
) -> Iterator[SessionWorld]:
    """A private world: the function builds its graph here, heard, on a default graph of its own."""
    marks = Marks()
    runs = Runs(marks)
    with private(seed), hearing(marks), session_runs.watched(runs):
        training = subject if isinstance(subject, Training) else subject()
        yield SessionWorld(training, runs, steps, whole=not isinstance(subject, Training))


@contextmanager
def private(seed: int) -> Iterator[None]:
    """A default graph of its own within the block, each new graph seeded, and the old one put back."""
    graphs, sessions = ops._default_graph_stack, stack._default_session_stack
    before = list(graphs.stack), graphs._global_default_graph, list(sessions.stack), sessions._enforce_nesting
    construct = ops.Graph.__init__

    def seeded(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        if not isinstance(self, func_graph.FuncGraph):
            self._seed = seed

    ops.Graph.__init__ = seeded
    graphs.stack[:], graphs._global_default_graph, sessions.stack[:] = [], None, []
    try:
        yield
    finally:
        ops.Graph.__init__ = construct
        graphs.stack[:], graphs._global_default_graph = before[0], before[1]
        sessions.stack[:], sessions._enforce_nesting = before[2], before[3]
