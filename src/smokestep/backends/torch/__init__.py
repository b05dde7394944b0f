"""The PyTorch backend: opens private worlds, and watches live loops.

A world runs the user's own step under the recorder; what comes out is evidence, and nothing of the user's is kept.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch.optim import Optimizer

from smokestep.backends import keras_words
from smokestep.backends.gaps import KERAS_ELSEWHERE
from smokestep.backends.keras_objects import own_names
from smokestep.backends.torch import frames, snapshot, sources
from smokestep.backends.torch.assembly import Assembly
from smokestep.backends.torch.calls import Called
from smokestep.backends.torch.events import listening
from smokestep.backends.torch.lab import TorchLab
from smokestep.backends.torch.lab.answers import Answer
from smokestep.backends.torch.lab.steps import Rerun
from smokestep.backends.torch.naming import Words, all_optimizers
from smokestep.backends.torch.quiet import guarded, quiet
from smokestep.backends.torch.recorder import Recorder, StopWatching
from smokestep.evidence.loaders import Loader
from smokestep.findings import NotApplicable, Open
from smokestep.training import Training
from smokestep.world import NotOffered, Recording

__all__ = ["StopWatching", "live", "open_world"]

MORE = 5  # further steps, to see a branch that did not run in some of the first ones
Kept: TypeAlias = tuple[list[Called], list[Answer]]  # of the last step, for experiments
PATIENCE = 17  # step calls without an update before "it never updates" is believed: a loss scale of 65536 is then 1


def describe() -> Mapping[str, str]:
    """The framework and its version."""
    return {"framework": f"torch {torch.__version__}"}


class TorchWorld:
    """One private world: the training, built afresh or to be put back, and its one recording."""

    def __init__(
        self,
        training: Training,
        recorder: Recorder,
        steps: int,
        changes: snapshot.Changes,
        factory: Callable[[], Training] | None,
    ) -> None:
        self._training, self._recorder, self._steps, self._changes = training, recorder, steps, changes
        self._factory, self._calls = factory, (list[Called](), list[Answer]())
        self._recording: Recording | None = None
        self._lab: TorchLab | None = None

    def lab(self) -> TorchLab:
        """Where the recorded model calls can be made again."""
        recording = self.recording()
        if self._lab is None:
            self._lab = TorchLab(self._calls[0], recording.flow, self._rerun, self._calls[1])
        return self._lab

    def recording(self) -> Recording:
        """Run the step and record it; the same recording on every call."""
        if self._recording is None:
            self._recording = self._record()
        return self._recording

    def raised(self) -> BaseException | None:
        """The exception of the user's step that ended the recording, if one did."""
        return self._recorder.error[0] if self._recorder.error else None

    def fingerprint_changes(self) -> tuple[str, ...]:
        """Names of the user's objects that differ after the world was closed."""
        return self._changes.names

    def loaders(self) -> tuple[Loader, ...]:
        """What two workers of each data loader would draw."""
        return self._recorder.loaders.tried()

    def describe(self) -> Mapping[str, str]:
        """The framework and its version."""
        return describe()

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """What of Keras is not seen on torch; for torch itself, what cannot be seen is told by the evidence."""
        return KERAS_ELSEWHERE if self._recorder.running.of_keras else {}

    def words(self) -> Sequence[tuple[str, str]]:
        """None, as the findings are written in PyTorch's words; those of Keras, where its models run."""
        return keras_words.WORDS if self._recorder.running.of_keras else ()

    def _record(self) -> Recording:
        recorder, training = self._recorder, self._training
        started = time.perf_counter()
        try:
            with recorder.tracer:
                self._run()
        except Exception as error:
            recorder.failed(error)
            recorder.end()
        seconds = time.perf_counter() - started
        recorder.tracer.paused += 1
        rerun = Rerun(
            training,
            self._factory,
            list(recorder.running.roots.values()),
            list(recorder.optimizers.values()),
            [frames.line_of(raw) for raw in recorder.compiled],
            {key: frames.line_of(raw) for key, raw in recorder.lines.items()},
        )
        recording, self._calls = _assembled(recorder, training, seconds)
        self._rerun = rerun
        return recording

    def _run(self) -> None:
        recorder, training = self._recorder, self._training
        arguments = (training.batch,) if training.has_batch else ()
        done = 0
        while done < self._steps or self._wants_more(done):
            for name, step in training.steps.items():
                guarded(recorder.tracer, recorder.begin)(name)
                returned = step(*arguments)
                with quiet():
                    recorder.returned[recorder.step] = _scalar(returned)
                del returned  # and the history that hangs on it, before the next step needs the memory
                guarded(recorder.tracer, recorder.end)()
            done += 1

    def _wants_more(self, done: int) -> bool:
        """Whether further steps could show what the first did not: an update, or a branch that was not taken."""
        if self._recorder.tracer.failure:
            return False
        if not self._recorder.updates and self._recorder.optimizers and done < PATIENCE:
            return not any(event.kind == "manual" for event in self._recorder.events)
        return done < self._steps + MORE and _untaken(self._recorder)


def _assembled(recorder: Recorder, training: Training | None, seconds: float) -> tuple[Recording, Kept]:
    if recorder.tracer.failure:
        raise NotOffered(f"the recorder failed, the training did not: {recorder.tracer.failure}; please report it")
    if any(p.is_meta for o in recorder.optimizers.values() for group in o.param_groups for p in group["params"]):
        raise NotOffered("what is trained is on the meta device: it has shapes and no numbers, so nothing can be seen")
    with quiet():
        recording = Assembly(recorder, training, seconds).recording()
    calls = [each for each in recorder.running.calls if each.given is not None]
    answers = list(recorder.running.answers)
    recorder.release()
    sources.forget()
    return recording, (calls, answers)


def _untaken(recorder: Recorder) -> bool:
    """Whether some trainable parameter has had no gradient while its module ran in some steps only, or in none."""
    owners = {
        id(p): module
        for root in recorder.running.roots.values()
        for module in root.modules()
        for p in module._parameters.values()
        if p is not None
    }
    held = {id(p) for o in recorder.optimizers.values() for group in o.param_groups for p in group["params"]}
    ran = recorder.running.ran[: len(recorder.ends)]
    for item in recorder.book.parameters():
        if id(item.tensor) in held and item.tensor.requires_grad and not any(r.received is not None for r in item.rows):
            owner = owners.get(id(item.tensor))
            if owner is not None and not all(id(owner) in each for each in ran):
                return True
    return False


def _scalar(returned: Any) -> Any:
    if isinstance(returned, (tuple, list)) and returned:
        returned = returned[0]
    if isinstance(returned, torch.Tensor) and returned.numel() == 1:
        return returned.detach().clone()
    return float(returned) if isinstance(returned, (int, float)) and not isinstance(returned, bool) else None


@contextmanager
def open_world(subject: Training | Callable[[], Training], *, seed: int, steps: int) -> Iterator[TorchWorld]:
    """A private world for a training: built by its factory, else run in place and put back afterwards."""
    words = Words()
    recorder = Recorder(live=False, words=words)
    with ExitStack() as stack:
        # a factory may hand out what lives outside of it: that is put back like a training's own
        outer = [subject] if isinstance(subject, Training) else snapshot.state_around(subject)
        changes = stack.enter_context(snapshot.preserved(*outer))
        if not isinstance(subject, Training):
            stack.enter_context(own_names())
        stack.enter_context(listening(recorder))
        training = subject if isinstance(subject, Training) else subject()
        if training.has_state:
            raise TypeError("state= is for steps that return a new state; a PyTorch step changes its objects in place")
        words.names.update(
            {id(each): name for name, each in (*training.model.items(), *training.optimizer.items()) if name}
        )
        recorder.prepare(training)
        factory = None if isinstance(subject, Training) else subject
        recorder.loaders.root = training if training is subject else None
        yield TorchWorld(training, recorder, steps, changes, factory)


class TorchLive:
    """A watch over the user's own loop."""

    def __init__(self, recorder: Recorder, around: list[Optimizer]) -> None:
        self.recorder, self._around = recorder, around
        self._recording: Recording | None = None
        self._lab: TorchLab | None = None
        self._calls = list[Called](), list[Answer]()

    def recording(self) -> Recording:
        """What was recorded so far, as evidence; the recording is over."""
        if self._recording is None:
            recorder = self.recorder
            recorder.tracer.paused += 1
            recorder.finish()
            _adopt(recorder, self._around)
            self._recording, self._calls = _assembled(recorder, None, time.perf_counter() - recorder.started)
        return self._recording

    def lab(self) -> TorchLab:
        """Where the recorded model calls can be made again, now that the loop is over or pauses."""
        recording = self.recording()
        if threading.current_thread() is not threading.main_thread():
            raise NotOffered("the loop still runs in another thread, so its model cannot be run again")
        if self._lab is None:
            self._lab = TorchLab(self._calls[0], recording.flow, answers=self._calls[1])
        return self._lab

    def loaders(self) -> tuple[Loader, ...]:
        """What two workers of each data loader would draw."""
        return self.recorder.loaders.tried()

    def describe(self) -> Mapping[str, str]:
        """The framework and its version."""
        return describe()

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """What of Keras is not seen on torch; for torch itself, what cannot be seen is told by the evidence."""
        return KERAS_ELSEWHERE if self.recorder.running.of_keras else {}

    def words(self) -> Sequence[tuple[str, str]]:
        """None, as the findings are written in PyTorch's words; those of Keras, where its models run."""
        return keras_words.WORDS if self.recorder.running.of_keras else ()


def _adopt(recorder: Recorder, around: list[Optimizer]) -> None:
    """Count in the optimizers that hold something the loop uses; those of a training long over have no part in it."""
    used = {id(tensor) for ref in recorder.tracer.sources.values() if (tensor := ref()) is not None}
    used.update(id(own) for model in recorder.running.roots.values() for own in model.parameters())
    for each in around:
        if any(id(held) in used for group in each.param_groups for held in group["params"]):
            recorder.optimizers.setdefault(id(each), each)


def _enough(steps: int, stopping: Callable[[], None] | None, around: list[Optimizer]) -> Callable[[Recorder], None]:
    """Ends a live recording when every optimizer that steps has stepped `steps` times (or none ever does)."""

    def wanted(recorder: Recorder) -> None:
        _adopt(recorder, around)
        if recorder.tracer.failure and stopping is not None:  # nothing more will be seen
            stopping()
            raise StopWatching
        slots: Counter[Any] = Counter()  # an optimizer made anew in each step takes the place of the last one
        for key, optimizer in recorder.optimizers.items():
            slots[recorder.slot(optimizer)] += recorder.updates.get(key, 0)
        counts = list(slots.values())
        most, active = max(counts, default=0), [each for each in counts if each]
        idle = len(active) < len(counts)
        done = bool(active) and min(active) >= steps <= recorder.turns and not (idle and most < 2 * steps)
        if done and most < steps + MORE:
            with quiet():
                recorder.book.settle()
            done = not (len(recorder.ends) < steps + MORE and _untaken_live(recorder))
        if done or most >= 10 * steps or (not most and len(recorder.backwards) >= 100):
            if stopping is not None:
                recorder.stop()
                stopping()
                raise StopWatching
            recorder.tracer.paused = max(recorder.tracer.paused, 1)

    return wanted


def _untaken_live(recorder: Recorder) -> bool:
    return (
        bool(recorder.ends)
        and any(
            item.tensor.requires_grad
            and not item.fresh
            and item.row.received is None
            and not any(r.received is not None for r in item.rows)
            for item in recorder.book.parameters()
        )
        and _untaken(recorder)
    )


@contextmanager
def live(steps: int, stopping: Callable[[], None] | None = None) -> Iterator[TorchLive]:
    """Watch the loop that runs in the block. When enough has been seen, go on without recording; with `stopping`, call
    it and raise StopWatching inside the loop, again at each further update if the loop swallows it."""
    around = all_optimizers() if stopping is None else []  # a script's own are seen when they are made
    recorder = Recorder(live=True, wanted=_enough(steps, stopping, around))
    with listening(recorder), recorder.tracer:
        yield TorchLive(recorder, around)
