"""A callback that watches the first steps of `model.fit`, on any backend of Keras.

`model.fit(x, y, callbacks=[smokestep.keras.Watch()])` trains as ever; whatever is switched for the watch is switched
back when enough has been seen, and also when a step raises.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from smokestep import config as configuration
from smokestep import facts, ledger
from smokestep.config import Config
from smokestep.engine import TrainingDefect, _config, ended_by, judge
from smokestep.findings import Verdict
from smokestep.report import Report, Subject

keras: Any = import_module("keras")
TOO_FEW = "on JAX, what a batch changed is known when the next one begins, and there was none: nothing was judged"
NONE = "no batch was trained on: nothing was judged"


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Watches the first `steps` updates of `fit`, and prints what was found; `report` holds it afterwards.

    `choices` are those of `smokestep.watch`. With `raise_on_defect`, a report that fails ends `fit` with
    `TrainingDefect`. `show` is given the report's text, None to say nothing.
    """

    def __init__(
        self,
        steps: int | None = None,
        *,
        raise_on_defect: bool = False,
        show: Callable[[str], object] | None = print,
        config: Config | str | os.PathLike[str] | None = None,
        **choices: Any,
    ) -> None:
        super().__init__()
        frame = facts.calling_frame()
        self._subject = Subject("fit", frame.f_code.co_filename, frame.f_lineno, live=True)
        self._settings = configuration.settle(_config(config, self._subject.file), steps=steps, **choices)
        self._raise, self._show = raise_on_defect, show
        self._stack: ExitStack | None = None
        self.report: Report | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """The function that trains on a batch is there and has not run: it is exchanged for a watched one."""
        self._close()  # of a fit that was interrupted between two steps
        self._batches, self._started, self.report = 0, time.perf_counter(), None
        accumulated = getattr(self.model.optimizer, "gradient_accumulation_steps", None) or 1
        self._enough = self._settings.steps * accumulated * self.model.steps_per_execution + 1
        backend = import_module(f"smokestep.backends.{keras.config.backend()}")
        plain = self.model.train_function
        with ExitStack() as stack:
            run = self._eagerly(plain)
            self._live = stack.enter_context(backend.live(self._settings.steps * accumulated))
            stack.callback(setattr, self.model, "train_function", plain)
            self.model.train_function = lambda *arguments: self._step(run, *arguments)
            self._stack = stack.pop_all()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Enough may have been seen."""
        self._batches += self.model.steps_per_execution
        if self._stack is not None and self._batches >= self._enough:
            self._finish()

    def on_train_end(self, logs: Any = None) -> None:
        """A fit of a few steps is judged by what there was."""
        if self._stack is not None:
            self._finish()

    def _eagerly(self, plain: Any) -> Any:
        """PyTorch's compiler is asked for when the function is made; elsewhere the watch opens what is compiled."""
        model = self.model
        if keras.config.backend() != "torch" or not model.jit_compile:
            return plain
        model.jit_compile = False
        try:
            model.make_train_function(force=True)
            return model.train_function
        finally:
            model.jit_compile, model.train_function = True, plain

    def _step(self, run: Any, *arguments: Any) -> Any:
        try:
            return run(*arguments)
        except BaseException as error:
            if self._stack is not None and not _over(error):
                self._finish(error)
            raise

    def _finish(self, error: BaseException | None = None) -> None:
        calm = error is None or isinstance(error, Exception)
        try:
            late = keras.config.backend() == "jax" and (error is not None or self._batches < 2)
            if late or (error is None and not self._batches):
                note = TOO_FEW if late and self._batches else NONE
                report = Report(
                    Verdict.OPEN, training=self._subject, notes=(note,), versions=facts.versions(self._live)
                )
            else:
                report = judge(
                    self._live, self._settings, subject=self._subject, started=self._started, experiments=calm
                )
        finally:
            self._close()
        self.report = ledger.enter(ended_by(report, error) if error else report)
        if self._show is not None:
            self._show(f"\n{self.report}")
        if self._raise and error is None and self.report.verdict is Verdict.FAIL:
            raise TrainingDefect(self.report)

    def _close(self) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()


def _over(error: BaseException) -> bool:
    """Whether this only says that the data are at their end."""
    return isinstance(error, StopIteration) or type(error).__name__ == "OutOfRangeError"
