"""Live: a watch over the user's own loop, in which nothing is copied and nothing is put back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from smokestep.backends import gaps
from smokestep.backends.tensorflow.alive import alive
from smokestep.backends.tensorflow.assembly import assembled, describe
from smokestep.backends.tensorflow.hooks import listening
from smokestep.backends.tensorflow.lab import TensorFlowLab
from smokestep.backends.tensorflow.recorder import Recorder, StopWatching
from smokestep.backends.tensorflow.words import WORDS
from smokestep.findings import NotApplicable, Open
from smokestep.world import NotOffered, Recording


class TensorFlowLive:
    """A watch over the user's own loop."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._recording: Recording | None = None
        self._lab: TensorFlowLab | None = None
        self._names: Any = str

    def recording(self) -> Recording:
        """What was recorded so far, as evidence; the recording is over."""
        if self._recording is None:
            recorder = self.recorder
            recorder.finish()
            recorder.tracer.paused += 1
            self._recording, self._names = assembled(recorder, None, time.perf_counter() - recorder.started)
        return self._recording

    def lab(self) -> TensorFlowLab:
        """Where the recorded model calls can be made again."""
        recording = self.recording()
        if threading.current_thread() is not threading.main_thread():
            raise NotOffered("the loop still runs in another thread, so its model cannot be run again")
        if self._lab is None:
            self._lab = TensorFlowLab(self.recorder, recording.flow, self._names, None)
        return self._lab

    def loaders(self) -> tuple[Any, ...]:
        """No data loader of TensorFlow is asked."""
        return ()

    def describe(self) -> Mapping[str, str]:
        """The framework and its version."""
        return describe()

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """What cannot be judged, or has no sense, here."""
        return gaps.TENSORFLOW

    def words(self) -> Sequence[tuple[str, str]]:
        """What is called otherwise here."""
        return WORDS


def _enough(steps: int, stopping: Callable[[], None] | None, eagerly: bool) -> Callable[[Recorder], None]:
    """Ends a live recording when every optimizer that steps has stepped `steps` times."""

    def wanted(recorder: Recorder) -> None:
        if recorder.tracer.failure and stopping is not None:  # nothing more will be seen
            stopping()
            raise StopWatching
        counts = [count for count in recorder.updates.values() if count]
        done = bool(counts) and min(counts) >= steps <= recorder.turns
        if done or max(counts, default=0) >= 10 * steps:
            if stopping is not None:
                recorder.stop()
                stopping()
                raise StopWatching
            recorder.stop()
            tf.config.run_functions_eagerly(eagerly)

    return wanted


@contextmanager
def live(steps: int, stopping: Callable[[], None] | None = None) -> Iterator[TensorFlowLive]:
    """Watch the loop that runs in the block. When enough has been seen, go on without recording; with `stopping`, call
    it and raise StopWatching inside the loop."""
    recorder = Recorder(live=True, wanted=_enough(steps, stopping, tf.config.functions_run_eagerly()))
    recorder.places.look_around(alive())
    with listening(recorder), recorder.tracer:
        yield TensorFlowLive(recorder)
