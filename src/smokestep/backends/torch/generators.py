"""Generators: the states of the global random generators at the marks of a loop, and the lines that set them.

A mark costs a copy of each state and nothing of the user's; where gradient mode stays as it was, no mark is needed.
"""

from __future__ import annotations

import ctypes
import hashlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from smokestep.backends.torch import frames
from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.quiet import During, quiet
from smokestep.evidence.randomness import Randomness, Turn
from smokestep.evidence.source import function_of
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.backends.torch.recorder import Recorder

SEEDS, STATES = ("manual_seed", "seed"), ("set_rng_state", "setstate", "set_state")


@dataclass(slots=True)
class Mark:
    """The state of one generator at one moment; at a call that set it, `before` and `state` are those around the call.

    `how`: "seed" if it was seeded, "state" if it was given a state, "" if nothing was done to it.
    """

    serial: int
    grad: bool
    state: bytes
    before: bytes
    how: str = ""
    lines: tuple[Raw, ...] = ()


class Generators:
    """The marks of each global generator so far."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.marks: dict[str, list[Mark]] = {}
        self._grad: bool | None = None  # the gradient mode at the last mark that no call of a setter made
        self._setting = False

    def mark(self, serial: int, grad: bool) -> None:
        """A step or a backward pass begins, or a model is called in another gradient mode than before."""
        self._grad = grad
        with quiet():
            for name, state in _states():
                self.marks.setdefault(name, []).append(Mark(serial, grad, state, state))

    def called(self, serial: int, grad: bool) -> None:
        """A model is called: marked only where it changes whether what is drawn may count."""
        if grad is not self._grad:
            self.mark(serial, grad)

    def forget(self) -> None:
        """Forget what was drawn while the training was built."""
        self.marks.clear()
        self._grad = None

    @contextmanager
    def setting(self, generator: str, how: str) -> Iterator[None]:
        """Around a call that sets a global generator; those that it makes itself are part of it."""
        if self.recorder.deaf or self._setting:
            yield
            return
        grad, lines = torch.is_grad_enabled(), frames.trail()[1]
        with quiet():
            before = dict(_states(generator))
        self._setting = True
        try:
            yield
        finally:
            self._setting = False
            serial = self.recorder.tracer.next()
            with quiet():
                for name, state in _states(generator):
                    mark = Mark(serial, grad, state, before.get(name, state), how, lines)
                    self.marks.setdefault(name, []).append(mark)

    def evidence(self, step_of: Callable[[int], int], count: int, names: Sequence[str]) -> Randomness:
        """The turns: from each step's last backward pass to that of the next step of its name."""
        turns: list[Turn] = []
        last: dict[int, int] = {}
        for index, *_ in self.recorder.backwards:
            if (step := step_of(index)) < count:
                last[step] = index
        kinds = {step: names[step] if step < len(names) else "" for step in last}
        for generator, marks in self.marks.items():
            numbers: dict[bytes, int] = {}
            for name in dict.fromkeys(kinds.values()):
                steps = sorted(step for step in last if kinds[step] == name)
                for before, step in pairwise(steps):
                    within = [each for each in marks if last[before] <= each.serial <= last[step]]
                    earlier = [each.lines for each in marks if each.how and each.serial < last[before]]
                    draws, lines = _drawn(_kept(within), earlier[-1] if earlier else ())
                    numbered = tuple(
                        (numbers.setdefault(one, len(numbers)), numbers.setdefault(other, len(numbers)))
                        for one, other in draws
                    )
                    turns.append(Turn(step, generator, numbered, _line(lines), name))
        return Randomness(tuple(sorted(turns, key=lambda turn: turn.step)))


def _kept(marks: Sequence[Mark]) -> list[Mark]:
    """The marks without those between a state and the call that put it back: nothing that was drawn there shows."""
    kept: list[Mark] = []
    for mark in marks:
        same = [i for i, each in enumerate(kept) if mark.how == "state" and mark.state in (each.state, each.before)]
        if not same:
            kept.append(mark)
        elif kept[same[-1]].state == mark.state:
            del kept[same[-1] + 1 :]
        else:  # put back to what it was before that one was set
            first = kept[same[-1]]
            kept[same[-1] :] = [Mark(first.serial, first.grad, mark.state, mark.state)]
    return kept


def _drawn(marks: Sequence[Mark], lines: tuple[Raw, ...]) -> tuple[list[tuple[bytes, bytes]], tuple[Raw, ...]]:
    """The states between which numbers were drawn with gradient mode on, and the last lines that set one of them.

    `lines`: those that set the state before the first mark."""
    draws: list[tuple[bytes, bytes]] = []
    cause, joined = lines, False
    for one, other in pairwise(marks):
        if one.how:
            lines, joined = one.lines, False
        if not (one.grad and other.grad):
            joined = False
        elif one.state != other.before:
            draws[-1:] = [(draws[-1][0], other.before)] if joined else [*draws[-1:], (one.state, other.before)]
            joined, cause = True, lines
    return draws, cause


def _line(lines: Sequence[Raw]) -> Line | None:
    """The innermost line that is no part of a function for seeding, which is called from where it is wrong."""
    found = [line for raw in lines if (line := frames.line_of(raw))]
    names = [function_of(line).lower().strip("_") for line in found]
    ours = (name.startswith("seed") or name.endswith(("seed", "seeds")) for name in names)
    return next((line for line, seeds in zip(found, ours, strict=True) if not seeds), found[0] if found else None)


def _states(generator: str = "") -> Iterator[tuple[str, bytes]]:
    """The state of each global generator in use (or of one, torch's with those of its devices), as a digest."""
    if generator in ("", "torch"):
        yield "torch", _digest(_bytes(torch.get_rng_state()))
        if torch.cuda.is_initialized() and not torch.cuda.is_current_stream_capturing():
            for index, each in enumerate(torch.cuda.default_generators):
                yield f"CUDA {index}", _digest(_bytes(each.get_state()))
    if generator in ("", "Python"):
        yield "Python", _digest(hash(random.getstate()).to_bytes(8, "big", signed=True))
    numpy = sys.modules.get("numpy.random")
    if numpy is not None and generator in ("", "NumPy"):
        state = numpy.get_state(legacy=False)
        key = state["state"].get("key")  # of the Mersenne Twister; other generators have less to tell
        rest = state if key is None else {**state, "state": state["state"]["pos"]}
        yield "NumPy", _digest(repr(rest).encode() + (b"" if key is None else key.tobytes()))


def _bytes(state: torch.Tensor) -> bytes:
    return ctypes.string_at(state.data_ptr(), state.numel())  # `.numpy()` needs NumPy, which torch does not


def _digest(state: bytes) -> bytes:
    return hashlib.blake2b(state, digest_size=16).digest()


def listen(stack: ExitStack, patch: Callable[..., None], recorder: Recorder) -> None:
    """Hear the calls that set a global generator to something that is the same another time."""
    owners: list[tuple[Any, str]] = [(torch, "torch"), (torch.random, "torch"), (random, "Python")]
    owners += [(torch.cuda, "torch"), (torch.cuda.random, "torch")]
    if (numpy := sys.modules.get("numpy.random")) is not None:
        owners.append((numpy, "NumPy"))
    for owner, generator in owners:
        for word in (*SEEDS, *STATES):
            if word in vars(owner) and (generator, word) != ("torch", "seed"):  # which seeds by chance
                patch(stack, owner, word, _around(recorder, generator, "seed" if word in SEEDS else "state"))


def _around(recorder: Recorder, generator: str, how: str) -> Callable[..., Any]:
    def around(original: Any, *args: Any, **kwargs: Any) -> Any:
        with During(recorder.tracer, recorder.generators.setting(generator, how)):
            return original(*args, **kwargs)

    return around
