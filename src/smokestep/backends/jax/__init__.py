"""The JAX backend: opens private worlds, and watches live loops.

A world runs the user's own step with its compiled calls opened; what comes out is evidence, and nothing of the user's
is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import jax

from smokestep.backends.gaps import JAX as GAPS
from smokestep.backends.jax import frames, running, trees
from smokestep.backends.jax.assembly import Assembly
from smokestep.backends.jax.declarations import batch_arrays
from smokestep.backends.jax.hooks import hooked
from smokestep.backends.jax.lab import JaxLab
from smokestep.backends.jax.lab.keeping import Kept
from smokestep.backends.jax.recorder import Recorder
from smokestep.backends.jax.snapshot import preserved
from smokestep.backends.jax.words import WORDS
from smokestep.evidence.lab import Lab
from smokestep.evidence.loaders import Loader
from smokestep.findings import Line, NotApplicable, Open
from smokestep.training import Training
from smokestep.world import NotOffered, Recording

__all__ = ["LOOP", "StopWatching", "live", "open_world"]

LOOP = ("forward", "backward", "update")  # the events of a plain step


def describe() -> Mapping[str, str]:
    """The framework and its version."""
    return {"framework": f"jax {jax.__version__}"}


class JaxWorld:
    """One private world: the training, built afresh or to be put back, and its one recording."""

    def __init__(self, training: Training, steps: int, factory: Callable[[], Training] | None = None) -> None:
        self._training, self._steps, self._factory = training, steps, factory
        self._lab: JaxLab | None = None
        self._recorder = Recorder()
        self._recording: Recording | None = None
        self._error: tuple[BaseException, Line | None] | None = None
        self._state = training.state
        self.lost: list[str] = []
        self.holders = trees.holders(list(training.steps.values()))

    def recording(self) -> Recording:
        """Run the step and record it; the same recording on every call."""
        if self._recording is None:
            self._recording = self._record()
        return self._recording

    def raised(self) -> BaseException | None:
        """The exception of the user's step that ended the recording, if one did."""
        return self._error[0] if self._error else None

    def lab(self) -> Lab:
        """Where the recorded models can be run again."""
        recording = self.recording()
        if self._lab is None:
            kept = Kept(self._training, self._state)
            self._lab = JaxLab(self._recorder.turns, recording.flow, kept, self._factory, recording.complete)
        return self._lab

    def loaders(self) -> tuple[Loader, ...]:
        """None: JAX has no data loader of its own."""
        return ()

    def fingerprint_changes(self) -> tuple[str, ...]:
        """Names of the user's objects that differ after the world was closed."""
        return tuple(dict.fromkeys(self.lost))

    def describe(self) -> Mapping[str, str]:
        """The framework and its version."""
        return describe()

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """What is not judged for JAX."""
        return GAPS

    def words(self) -> Sequence[tuple[str, str]]:
        """How findings are worded for JAX."""
        return WORDS

    def _leaves(self) -> dict[tuple[str, ...], trees.Leaf]:
        training = self._training
        found: dict[tuple[str, ...], trees.Leaf] = {}
        arrays: set[int] = set()
        roots = self._roots()
        given = len(roots) - len(self.holders)
        for position, (root, value) in enumerate(roots):
            for leaf in trees.leaves(value, root):
                leaf = replace(leaf, given=position < given)
                if id(leaf.value) not in arrays or leaf.path in found:
                    arrays.add(id(leaf.value))
                    found.setdefault(leaf.path, leaf)
        batch = {id(array) for _, array in batch_arrays(training.batch)} if training.has_batch else set()
        return {path: leaf for path, leaf in found.items() if id(leaf.value) not in batch}

    def _roots(self) -> list[tuple[tuple[str, ...], Any]]:
        training = self._training
        roots: list[tuple[tuple[str, ...], Any]] = []
        if training.has_state:
            roots.append(((), self._state))
        for word, things in (("model", training.model), ("optimizer", training.optimizer)):
            roots += [((name or word,), thing) for name, thing in things.items()]
        roots += [((holder.name,) if holder.name else (), holder.read()) for holder in self.holders]
        return roots

    def _record(self) -> Recording:
        recorder, training = self._recorder, self._training
        started = time.perf_counter()
        tops: dict[Any, list[str]] = {}
        for root, value in self._roots():
            for path, classes in trees.optimizers(value, root).items():
                tops.setdefault(path, classes)
        first = self._leaves()
        batch = list(batch_arrays(training.batch)) if training.has_batch else []
        try:
            with hooked(recorder.hooks):
                self._run(recorder, batch)
        except NotOffered:
            raise
        except Exception as error:
            self._error = error, frames.of_exception(error)
            recorder.turn = None
        seconds = time.perf_counter() - started
        return Assembly(
            recorder.turns,
            first,
            {k: tuple(v) for k, v in tops.items()},
            training,
            self._error,
            seconds,
            uses=recorder.uses,
        ).recording()

    def _run(self, recorder: Recorder, batch: list[tuple[str, Any]]) -> None:
        training = self._training
        for _ in range(self._steps):
            for name, step in training.steps.items():
                recorder.begin(name, self._leaves(), batch)
                returned = running.call(step, training.arguments(step, self._state if training.has_state else None))
                rest = [returned]
                if training.has_state:
                    self._state, rest = running.matched(self._state, returned)
                turn = recorder.turn
                recorder.end(self._leaves())
                if turn is not None:
                    turn.returned = running.scalar(rest)


@contextmanager
def open_world(subject: Training | Callable[[], Training], *, seed: int, steps: int) -> Iterator[JaxWorld]:
    """A private world for a training: built by its factory, else run in place and put back afterwards."""
    training = subject if isinstance(subject, Training) else subject()
    world = JaxWorld(training, steps, None if isinstance(subject, Training) else subject)
    roots = [training.state, training.batch, *training.model.values(), *training.optimizer.values()]
    with preserved(roots, world.holders) as world.lost:
        yield world


class StopWatching(Exception):
    """Enough has been seen of a script."""


class JaxLive:
    """A watch over the user's own loop."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self._recording = recorder, None
        self._started = time.perf_counter()

    def recording(self) -> Recording:
        """What was recorded so far, as evidence; the recording is over."""
        if self._recording is None:
            recorder = self.recorder
            recorder.close()
            recorder.hooks.busy += 1
            self._recording = watched(recorder, time.perf_counter() - self._started)
        return self._recording

    def lab(self) -> Lab:
        """Not offered yet."""
        raise NotOffered("a loop that is watched is run once; for this, hand over a function that builds the training")

    def loaders(self) -> tuple[Loader, ...]:
        """None: JAX has no data loader of its own."""
        return ()

    def describe(self) -> Mapping[str, str]:
        """The framework and its version."""
        return describe()

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """What is not judged for JAX."""
        return GAPS

    def words(self) -> Sequence[tuple[str, str]]:
        """How findings are worded for JAX."""
        return WORDS


def watched(recorder: Recorder, seconds: float) -> Recording:
    """The steps of a watched loop as evidence: those of which it is known what they left."""
    turns = [turn for turn in recorder.turns if turn.after]
    if not turns and recorder.turns:
        raise NotOffered("one step was seen and nothing after it, so what it left is not known")
    leaves = {
        path: trees.Leaf(path, array) for turn in turns for path, array in turn.before.items() if path in turn.after
    }
    return Assembly(turns, leaves, {}, None, None, seconds, live=True, uses=recorder.uses).recording()


def _enough(steps: int, stopping: Callable[[], None] | None) -> Callable[[Recorder], None]:
    """Ends a live recording when so many steps are complete."""

    def wanted(recorder: Recorder) -> None:
        # a step is complete when the next one has begun, and told what it left
        if len(recorder.turns) <= steps:
            return
        if stopping is not None:
            stopping()
            raise StopWatching
        recorder.hooks.busy += 1

    return wanted


@contextmanager
def live(steps: int, stopping: Callable[[], None] | None = None) -> Iterator[JaxLive]:
    """Watch the loop that runs in the block. When enough has been seen, go on without recording; with `stopping`, call
    it and raise StopWatching inside the loop, again at each further step if the loop swallows it."""
    recorder = Recorder(_enough(steps, stopping))
    with hooked(recorder.hooks):
        yield JaxLive(recorder)
