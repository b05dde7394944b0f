"""The JAX backend: opens private worlds, and watches live loops.

A world runs the user's own step with its compiled calls opened; what comes out is evidence, and nothing of the user's
is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import jax

from smokestep.backends import keras_words
from smokestep.backends.gaps import JAX as GAPS
from smokestep.backends.gaps import KERAS_ON_JAX
from smokestep.backends.jax import frames, keras, running, trees
from smokestep.backends.jax.assembly import Assembly
from smokestep.backends.jax.declarations import batch_arrays
from smokestep.backends.jax.hooks import hooked
from smokestep.backends.jax.lab import JaxLab, statistics
from smokestep.backends.jax.lab.keeping import Kept
from smokestep.backends.jax.live import JaxLive, StopWatching, watching
from smokestep.backends.jax.recorder import Recorder
from smokestep.backends.jax.snapshot import preserved
from smokestep.backends.jax.sources import with_sources
from smokestep.backends.jax.unread import unread
from smokestep.backends.jax.words import WORDS
from smokestep.backends.keras_objects import own_names
from smokestep.evidence.lab import Lab
from smokestep.evidence.loaders import Loader
from smokestep.findings import Line, NotApplicable, Open
from smokestep.training import Training
from smokestep.world import NotOffered, Recording

__all__ = ["LOOP", "StopWatching", "live", "open_world"]

PATIENCE = 17  # step calls without an update before "it never updates" is believed
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
        self._unread: dict[str, Open] = {}
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
        if any(trees.is_keras(value) for _, value in self._roots()):
            raise NotOffered("what a Keras model gives on JAX is not told from its loss yet, so no experiment was made")
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
        """What is not judged for JAX, for what Keras does with it, and of this training."""
        why = statistics.untried(Kept(self._training, self._state))
        keras = KERAS_ON_JAX if self._of_keras() else {}
        return {**GAPS, **keras, **self._unread, **({"evaluation-updates": why} if why is not None else {})}

    def words(self) -> Sequence[tuple[str, str]]:
        """How findings are worded for JAX, and for Keras on it."""
        return (*keras_words.WORDS, *WORDS) if self._of_keras() else WORDS

    def _of_keras(self) -> bool:
        return any(trees.is_keras(value) for _, value in self._roots())

    def _leaves(self) -> dict[tuple[str, ...], trees.Leaf]:
        training = self._training
        found: dict[tuple[str, ...], trees.Leaf] = {}
        arrays: set[int] = set()
        roots = self._roots()
        given = len(roots) - len(self.holders)
        called = keras.called(value for _, value in roots)
        for position, (root, value) in enumerate(roots):
            for leaf in trees.leaves(value, root):
                holder, name = called.get(id(leaf.value), (None, ""))
                leaf = replace(leaf, given=position < given, holder=holder, called=name)
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
        with suppress(Exception):  # it is told when it happens again
            self._warm()
        tops: dict[Any, list[str]] = {}
        for root, value in self._roots():
            for path, classes in trees.optimizers(value, root).items():
                tops.setdefault(path, classes)
        self._state = running.apart(self._state)
        for _, value in self._roots():
            running.variables_apart(value)
        first = self._leaves()
        batch = list(batch_arrays(training.batch)) if training.has_batch else []
        try:
            with hooked(recorder.hooks):
                self._run(recorder, batch, bool(tops))
        except NotOffered:
            raise
        except Exception as error:
            self._error = error, frames.of_exception(error)
            recorder.turn = None
        if self._error is None and (why := recorder.blind()):
            raise NotOffered(why)
        seconds = time.perf_counter() - started
        assembly = Assembly(
            recorder.turns,
            first,
            {k: tuple(v) for k, v in tops.items()},
            training,
            self._error,
            seconds,
            uses=recorder.uses,
        )
        recording = assembly.recording()
        self._unread = unread(assembly, recording.modes)
        return with_sources(recording, assembly.names.parameters, self._roots())

    def _warm(self) -> None:
        """What Keras builds when it is first used is built by a step that is not looked at."""
        if any(trees.is_keras(value) and keras.unbuilt(value) for _, value in self._roots()):
            for step in self._training.steps.values():
                step(*self._training.arguments(step, self._state if self._training.has_state else None))

    def _run(self, recorder: Recorder, batch: list[tuple[str, Any]], optimizing: bool) -> None:
        training = self._training
        while len(recorder.turns) < self._steps * len(training.steps) or (optimizing and recorder.idle(PATIENCE)):
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
    with nullcontext() if isinstance(subject, Training) else own_names():
        training = subject if isinstance(subject, Training) else subject()
    world = JaxWorld(training, steps, None if isinstance(subject, Training) else subject)
    roots = [training.state, training.batch, *training.model.values(), *training.optimizer.values()]
    with preserved(roots, world.holders) as world.lost:
        yield world


@contextmanager
def live(steps: int, stopping: Callable[[], None] | None = None) -> Iterator[JaxLive]:
    """Watch the loop that runs in the block; see `smokestep.backends.jax.live`."""
    with watching(steps, stopping, WORDS) as watched:
        yield watched
