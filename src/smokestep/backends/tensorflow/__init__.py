"""The TensorFlow backend: opens private worlds for Keras models and GradientTape loops, and watches live loops.

A world runs the user's own step eagerly, under the recorder; what comes out is evidence, and nothing of the user's is
kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from smokestep.backends import gaps
from smokestep.backends.keras_objects import own_names
from smokestep.backends.tensorflow import sessions, snapshot
from smokestep.backends.tensorflow.alive import alive
from smokestep.backends.tensorflow.assembly import assembled, describe
from smokestep.backends.tensorflow.declarations import batch_names
from smokestep.backends.tensorflow.hooks import listening
from smokestep.backends.tensorflow.lab import TensorFlowLab
from smokestep.backends.tensorflow.live import live
from smokestep.backends.tensorflow.recorder import Recorder, StopWatching, number
from smokestep.backends.tensorflow.trace import array_of
from smokestep.backends.tensorflow.words import WORDS
from smokestep.findings import NotApplicable, Open
from smokestep.training import Training
from smokestep.world import Recording

__all__ = ["StopWatching", "live", "open_world"]

PATIENCE = 17  # step calls without an update before "it never updates" is believed
LOOP = ("forward", "backward", "update", "zero_grad")  # what a tape gave is used up by the update


class TensorFlowWorld:
    """One private world: the training, built afresh or to be put back, and its one recording."""

    def __init__(self, training: Training, recorder: Recorder, steps: int, changes: snapshot.Changes) -> None:
        self._training, self._recorder, self._steps, self._changes = training, recorder, steps, changes
        self._recording: Recording | None = None
        self._lab: TensorFlowLab | None = None
        self._names: Any = str

    def recording(self) -> Recording:
        """Run the step and record it; the same recording on every call."""
        if self._recording is None:
            self._recording = self._record()
        return self._recording

    def raised(self) -> BaseException | None:
        """The exception of the user's step that ended the recording, if one did."""
        return self._recorder.error[0] if self._recorder.error else None

    def lab(self) -> TensorFlowLab:
        """Where the recorded model calls can be made again."""
        recording = self.recording()
        if self._lab is None:
            self._lab = TensorFlowLab(self._recorder, recording.flow, self._names, self._training)
        return self._lab

    def loaders(self) -> tuple[Any, ...]:
        """No data loader of TensorFlow is asked."""
        return ()

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """What cannot be judged, or has no sense, here."""
        return gaps.TENSORFLOW

    def words(self) -> Sequence[tuple[str, str]]:
        """What is called otherwise here."""
        return WORDS

    def fingerprint_changes(self) -> tuple[str, ...]:
        """Names of the user's objects that differ after the world was closed."""
        return self._changes.names

    def describe(self) -> Mapping[str, str]:
        """The framework and its version."""
        return describe()

    def _record(self) -> Recording:
        recorder, training = self._recorder, self._training
        started = time.perf_counter()
        try:
            with recorder.tracer:
                self._run()
        except Exception as error:
            recorder.failed(error)
            recorder.end()
        recording, self._names = assembled(recorder, training, time.perf_counter() - started)
        return recording

    def _run(self) -> None:
        recorder, training = self._recorder, self._training
        arguments = (training.batch,) if training.has_batch else ()
        while len(recorder.ends) < self._steps * len(training.steps) or self._idle():
            for name, step in training.steps.items():
                recorder.guarded(recorder.begin, name)
                returned = step(*arguments)
                with recorder.tracer.quiet():
                    recorder.returned[recorder.step] = _scalar(returned)
                recorder.guarded(recorder.end)

    def _idle(self) -> bool:
        """Whether gradients were taken and nothing moved so far: a loop may accumulate them over more steps."""
        recorder = self._recorder
        waiting = not recorder.updates and recorder.optimizers and recorder.backwards
        moved = any(row.update for place in recorder.places if place.asked for row in place.rows)
        return bool(waiting) and not moved and len(recorder.ends) < PATIENCE


def _scalar(returned: Any) -> float | None:
    if isinstance(returned, Mapping):
        returned = returned.get("loss", next(iter(returned.values()), None))
    if hasattr(returned, "history"):  # of fit
        returned = (returned.history.get("loss") or [None])[-1]
    if isinstance(returned, (tuple, list)) and returned:
        returned = returned[0]
    return number(returned) if isinstance(returned, (int, float, np.generic, np.ndarray, tf.Tensor)) else None


@contextmanager
def open_world(
    subject: Training | Callable[[], Training], *, seed: int, steps: int
) -> Iterator[TensorFlowWorld | sessions.SessionWorld]:
    """A private world for a training: built by its factory, else run in place and put back afterwards."""
    if sessions.wanted(subject):
        with sessions.open_world(subject, seed=seed, steps=steps) as world:
            yield world
        return
    recorder = Recorder(live=False)
    with ExitStack() as stack:
        living = alive()
        changes = stack.enter_context(snapshot.preserved(living))
        if not isinstance(subject, Training):
            stack.enter_context(own_names())
        recorder.places.look_around(living)
        stack.enter_context(listening(recorder))
        training = subject if isinstance(subject, Training) else subject()
        recorder.running.names.update(
            {id(each): name for name, each in (*training.model.items(), *training.optimizer.items()) if name}
        )
        recorder.optimizers.update({id(each): each for each in training.optimizer.values()})
        _name_batch(recorder, training)
        recorder.prepare()
        yield TensorFlowWorld(training, recorder, steps, changes)


def _name_batch(recorder: Recorder, training: Training) -> None:
    for value, name in batch_names(training.batch) if training.has_batch else ():
        array = array_of(value)
        small = array is not None and 0 < array.size <= 65_536
        if isinstance(value, np.ndarray):
            recorder.host.add(name)
        recorder.batch_names[name] = small and bool((array == array.reshape(-1)[0]).all())
        if hasattr(value, "_id"):
            recorder.batch[value._id] = name
        else:
            recorder.arrays.named.append((value, name))
