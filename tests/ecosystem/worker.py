"""A process that examines one model after another, and can be ended when one takes too long."""

from __future__ import annotations

import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from .examined import Row, examined

PATIENCE = 20  # a process that does not even answer its own alarm is ended after that many times the limit
LIFETIME = 60  # models a process examines before a fresh one takes over: what libraries keep is let go


def serve(pipe: Connection, limit: float) -> None:
    """Receives names, sends rows. The limit is on processor time: how busy the machine is makes no model too slow."""
    signal.signal(signal.SIGPROF, _too_slow)
    while name := pipe.recv():
        signal.setitimer(signal.ITIMER_PROF, limit)
        try:
            row = examined(name)
        except TooSlow:
            row = Row(name, "too slow", why=f"more than {limit:.0f} s")
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send(row)


class TooSlow(BaseException):
    """A model has used up its time; no handler of errors must take this for one."""


def _too_slow(*_: object) -> None:
    raise TooSlow


class Worker:
    """One process, renewed when a model takes too long or ends it, or after its lifetime."""

    def __init__(self, limit: float) -> None:
        self.limit, self.process, self.pipe, self.served = limit, None, None, 0

    def row(self, name: str) -> Row:
        """Examine one model here."""
        process, pipe = self._running()
        pipe.send(name)
        self.served += 1
        try:
            if pipe.poll(PATIENCE * self.limit):
                return pipe.recv()
            row = Row(name, "too slow", why=f"more than {self.limit:.0f} s")
        except (EOFError, ConnectionError):
            row = Row(name, "raised", why="the process ended")
        self.stop()
        return row

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.process = self.pipe = None

    def _running(self) -> tuple[Any, Any]:
        if self.served % LIFETIME == 0:
            self.stop()
        if self.process is None:
            context = get_context("spawn")
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=serve, args=(theirs, self.limit), daemon=True)
            self.process.start()
            theirs.close()
        return self.process, self.pipe
