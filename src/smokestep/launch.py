"""Runs a user's script in this process as Python would, and watches its first optimizer steps.

The script is not changed and nothing is written to its folder; however it ends, or refuses to, is told as an `Ending`.
Out of reach: `os._exit`, which ends the process at once, and steps taken in processes that the script starts.
"""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import sys
import threading
import types
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from smokestep.backends import Several
from smokestep.privacy import BACKENDS, loaded, seed_everything
from smokestep.world import Live

HERE = os.path.dirname(os.path.abspath(__file__))
How: TypeAlias = Literal["stopped", "finished", "exited", "raised", "interrupted", "kept running"]
Stream: TypeAlias = Literal["shown", "to stderr", "hidden"]


class NotFound(Exception):
    """There is no such script or module; the text is Python's own."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the script ended: `stopped` by the watch, which had seen enough, or else before that.

    `error` is the exception that ended it, its traceback reduced to the user's frames.
    """

    how: How
    error: BaseException | None = None


Conclude: TypeAlias = Callable[[Live | None, Ending], tuple[str, int]]


def run(
    target: str,
    arguments: Sequence[str],
    conclude: Conclude,
    *,
    as_module: bool = False,
    steps: int = 3,
    seed: int | None = None,
    output: Stream = "shown",
    patience: float = 30.0,  # seconds for the script's own cleanup (a last checkpoint, a logger's upload) once stopped
    swallowed: int = 3,  # stops that a script may catch by accident before it counts as refusing to stop
) -> tuple[str, int]:
    """Run and watch a script (or module, folder, zip file); give what `conclude` makes of it: a text and an exit code.

    A script that goes on after it was stopped is ended together with this process, after the text has been written.
    Raises `NotFound` if there is nothing to run.
    """
    done = threading.Event()
    stops = 0

    def give_up(after: float = 0.0) -> None:
        if not done.wait(after):
            done.set()
            text, code = conclude(watch.live, Ending("kept running"))
            streams.last_words(text)
            leave(code)

    def stopping() -> None:
        nonlocal stops
        stops += 1
        if stops == 1:
            threading.Thread(target=give_up, args=[patience], daemon=True).start()
        elif stops > swallowed:
            give_up()

    process = os.getpid()
    watch = Watch(steps, seed, stopping)
    with _Streams(output) as streams, _as_main(target, arguments, as_module), watch:
        try:
            _execute(target, as_module)
            ending = Ending("finished")
        except BaseException as error:  # whatever a script can raise
            if os.getpid() != process:  # a child that the script forked has come out at the top of it
                raise
            ending = Ending("stopped") if stops else _ending(error)
        done.set()
    if watch.failure is not None:
        raise RuntimeError("smokestep itself failed as it began to watch the script") from watch.failure
    if ending.how == "raised" and isinstance(ending.error, ImportError) and ending.error.__traceback__ is None:
        raise NotFound(str(ending.error))
    _tell(ending.error)
    return conclude(watch.live, Ending("stopped") if stops else ending)


def leave(code: int) -> None:
    """End this process at once, and the worker processes that the script started from it."""
    if workers := sys.modules.get("multiprocessing"):
        for worker in workers.active_children():
            worker.terminate()
    os._exit(code)


class Watch:
    """Starts the backend's watch as soon as its framework has been imported, and imports none by itself."""

    def __init__(self, steps: int, seed: int | None, stopping: Callable[[], None]) -> None:
        self._lives: list[Live] = []
        self._steps, self._seed, self._stopping = steps, seed, stopping
        self.failure: Exception | None = None
        self._stack = ExitStack()
        self._looking = False

    @property
    def live(self) -> Live | None:
        """What is watched: nothing yet, by one backend, or by several."""
        return Several(self._lives) if len(self._lives) > 1 else next(iter(self._lives), None)

    def __enter__(self) -> Watch:
        if self._seed is not None:
            seed_everything(self._seed)
        for framework in loaded():
            self._start(framework)
        sys.meta_path.insert(0, self)
        self._told = threading.excepthook
        threading.excepthook = self._thread_ended
        return self

    def __exit__(self, *exception: object) -> None:
        threading.excepthook = self._told
        sys.meta_path.remove(self)
        self._stack.close()

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The ordinary spec of a framework's module, with a loader that starts the watch when it is done."""
        if name not in BACKENDS or self._looking:
            return None
        self._looking = True
        try:
            spec = find_spec(name)
        finally:
            self._looking = False
        loader: Any = spec.loader if spec else None
        if loader is None:
            return None
        plain = loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            plain(module)
            self._start(name)

        loader.exec_module = exec_module
        return spec

    def _thread_ended(self, ended: threading.ExceptHookArgs) -> None:
        if not ended.exc_type.__module__.startswith("smokestep."):  # our stop, in a loop that runs in a thread
            self._told(ended)

    def _start(self, framework: str) -> None:
        try:
            backend = import_module(BACKENDS[framework])
            self._lives.append(self._stack.enter_context(backend.live(self._steps, stopping=self._stopping)))
        except Exception as error:
            self.failure = error
            raise SystemExit from None  # in the middle of the script's own `import`
        if self._seed is not None:
            seed_everything(self._seed)


def _execute(target: str, as_module: bool) -> None:
    if as_module:
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    elif os.path.isdir(target) or target.endswith(".pyc") or zipfile.is_zipfile(target):
        runpy.run_path(target, run_name="__main__")
    else:
        # Not runpy.run_path, which would change argv[0] or leave __file__ relative, and takes __main__ away at the end.
        file = os.path.abspath(target)
        main = types.ModuleType("__main__")
        main.__dict__.update(__file__=file, __cached__=None, __loader__=SourceFileLoader("__main__", file))
        main.__dict__.update(__builtins__=__builtins__, __annotations__={})
        sys.modules["__main__"] = main
        with io.open_code(file) as source:
            code = compile(source.read(), file, "exec", dont_inherit=True)
        exec(code, main.__dict__)


@contextmanager
def _as_main(target: str, arguments: Sequence[str], as_module: bool) -> Iterator[None]:
    argv, path, main, folder = sys.argv, sys.path[:], sys.modules["__main__"], os.getcwd()
    sys.argv = [target, *arguments]
    if not getattr(sys.flags, "safe_path", False):
        if as_module:
            sys.path[0] = os.getcwd()
        elif os.path.isdir(target) or zipfile.is_zipfile(target):
            del sys.path[0]  # runpy puts the folder or archive itself there
        else:
            sys.path[0] = os.path.dirname(os.path.realpath(target))
    try:
        yield
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = argv, path, main
        os.chdir(folder)


class _Streams:
    """Where the script's output goes; by file descriptor, so that of its child processes too."""

    def __init__(self, output: Stream) -> None:
        self._output = output

    def __enter__(self) -> _Streams:
        _flush()
        self._python = sys.stdout, sys.stderr  # a script may put something of its own in their place
        self._kept = os.dup(1), os.dup(2)
        if self._output != "shown":
            self._send(2 if self._output == "to stderr" else os.open(os.devnull, os.O_WRONLY))
        return self

    def _send(self, out: int) -> None:
        os.dup2(out, 1)
        if out != 2:
            os.dup2(out, 2)
            os.close(out)

    def __exit__(self, *exception: object) -> None:
        _flush()
        sys.stdout, sys.stderr = self._python
        for kept, stream in zip(self._kept, (1, 2), strict=True):
            os.dup2(kept, stream)
            os.close(kept)

    def last_words(self, text: str) -> None:
        """Write the text where it belongs while the script still runs; the script is not heard any more."""
        _flush()
        self._send(os.open(os.devnull, os.O_WRONLY))
        os.write(self._kept[0], text.encode())


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed by the script, or a pipe that nobody reads
            pass


def _ending(error: BaseException) -> Ending:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = users_frames(link.__traceback__)
        link = link.__cause__ or link.__context__
    if isinstance(error, SystemExit):
        return Ending("exited" if error.code else "finished", error)
    return Ending("interrupted" if isinstance(error, KeyboardInterrupt) else "raised", error)


def users_frames(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback without the frames by which smokestep started and observed the user's code."""
    frames = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    kept: types.TracebackType | None = None
    for each in reversed(frames):
        file = each.tb_frame.f_code.co_filename
        ours = file.startswith((HERE + os.sep, "<frozen runpy>", "<frozen importlib")) or file in (
            runpy.__file__,
            contextlib.__file__,
        )
        if not ours and not file.endswith(os.path.join("torch", "overrides.py")):
            kept = types.TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept


def _tell(error: BaseException | None) -> None:
    """What Python would print of the exception that ended a script."""
    if isinstance(error, SystemExit):
        if not isinstance(error.code, (int, type(None))):
            print(error.code, file=sys.stderr)
    elif error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
    _flush()
