"""Live: watches a loop that the user runs, one turn of it from one call of what differentiates to the next of the same.

What a turn left is what the next one begins with, so that "did it move" is known of whatever the loop really goes on
with. Micro-batches whose gradients are added up first are one turn. When enough was seen, JAX is as ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import jax
import numpy as np

from smokestep.backends import Unseen
from smokestep.backends.gaps import JAX as GAPS
from smokestep.backends.jax import handed, sight, trees
from smokestep.backends.jax.arrays import key_of
from smokestep.backends.jax.assembly import Assembly, distance
from smokestep.backends.jax.cells import Turn
from smokestep.backends.jax.equations import marked
from smokestep.backends.jax.hooks import hooked
from smokestep.backends.jax.markers import forward_p
from smokestep.backends.jax.recorder import Recorder
from smokestep.backends.jax.sight import Path, Sight
from smokestep.backends.jax.unread import unread
from smokestep.evidence.lab import Lab
from smokestep.evidence.loaders import Loader
from smokestep.findings import NotApplicable, Open
from smokestep.world import NotOffered, Recording

FACTORY = (
    "hand the step over as a function that builds it: `def training(): ... return smokestep.Training(step, batch, "
    "state=...)`, and `smokestep check` that"
)
NO_LAB = f"the loop goes on with arrays of its own, so its model was not called again; to try experiments, {FACTORY}"
NOTHING = "no training was seen: nothing was differentiated in the loop. What was compiled ahead of time "
NOTHING += f"(`.lower(...).compile()`) cannot be watched: call the jitted function itself, or {FACTORY}"
MICRO = 100  # calls from unchanged parameters, without an update, that are still one turn


class StopWatching(BaseException):
    """Raised inside the user's loop when enough has been seen; no Exception, so that `except Exception` lets it by."""


class JaxLive:
    """A watch over the user's own loop."""

    def __init__(self, steps: int, stopping: Callable[[], None] | None, words: Sequence[tuple[str, str]]) -> None:
        self._steps, self._stopping, self._words = steps, stopping, words
        self._recorder = recorder = Recorder()
        recorder.hooks.jit, recorder.hooks.eager = self._jit, self._eager
        self._started = time.perf_counter()
        self._thread: int | None = None
        self._sight = Sight()
        self._leaves: dict[Path, trees.Leaf] = {}
        self._tops: dict[Path, tuple[str, ...]] = {}
        self._calls: dict[Any, list[Any]] = {}  # site -> what it was last called with
        self._marks: dict[Any, int] = {}  # site -> how much arithmetic had been seen then
        self._times = 0
        self._copies: dict[Path, Any] = {}
        self._foreign: dict[Path, list[bool]] = {}  # leaf -> per turn, whether the new array came from elsewhere
        self._closed = 0
        self._done = False
        self._unread: dict[str, Open] = {}
        self._recording: Recording | None = None
        self._failure: Exception | None = None
        self._hooks = ExitStack()

    # ── what the core asks ─────────────────────────────────────────────────────────────────────────────────────
    def recording(self) -> Recording:
        """What was recorded so far, as evidence; the recording is over."""
        self._finish()
        if self._recording is None:
            raise self._failure or NotOffered("nothing was recorded")
        return self._recording

    def lab(self) -> Lab:
        """Not offered: see the reason."""
        raise NotOffered(NO_LAB)

    def loaders(self) -> tuple[Loader, ...]:
        """None: JAX has no data loader of its own."""
        return ()

    def describe(self) -> Mapping[str, str]:
        """The framework and its version."""
        return {"framework": f"jax {jax.__version__}"}

    def gaps(self) -> Mapping[str, Open | NotApplicable]:
        """What is not judged for JAX, and of this loop."""
        return {**GAPS, **self._unread}

    def words(self) -> Sequence[tuple[str, str]]:
        """How findings are worded for JAX."""
        return self._words

    # ── what the hooks tell ────────────────────────────────────────────────────────────────────────────────────
    def _jit(self, closed: Any, arguments: list[Any], name: str) -> list[Any] | None:
        if not self._mine():
            return None
        step = marked(closed.jaxpr)
        if step:
            with self._recorder.hooks.apart():
                places = handed.differentiated(closed)
                names = handed.names(closed, len(arguments))
            self._arrive([arguments[i] for i in places], [names[i] for i in places], arguments, names)
        if self._recorder.turn is None:
            return None
        outs = self._recorder.jit(closed, arguments, name)
        if outs is None and step and self._recorder.turn is not None:
            self._keep(arguments)  # it runs as ever, and may give its arguments away
        return outs

    def _eager(self, primitive: Any, arguments: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]) -> Any:
        if not self._mine():
            return run()
        if primitive is forward_p:
            primals = list(arguments[: params["counted"]])
            names = [tuple(each for each in name.split(".") if each) for name in params["names"]]
            self._arrive(primals, names, primals, names)
        if self._recorder.turn is None:
            return run()
        return self._recorder.eager(primitive, arguments, params, run)

    def _mine(self) -> bool:
        """Whether it is heard: not once enough was seen, and not from another thread than the loop's."""
        return self._thread in (None, threading.get_ident()) and (not self._done or self._stopping is not None)

    # ── the turns ──────────────────────────────────────────────────────────────────────────────────────────────
    def _arrive(self, primals: list[Any], names: list[Path], given: list[Any], given_names: list[Path]) -> None:
        """The loop is about to differentiate these arrays."""
        if self._done:
            self._stop()
            return
        recorder = self._recorder
        self._thread = threading.get_ident()
        here = sight.site()
        with recorder.hooks.apart():
            if recorder.turn is not None:
                recorder.flush()
                again = here in self._calls
                self._times += again
                if again and (self._updated(here, given) or self._times >= MICRO):
                    self._close(here, primals, given)
                    if self._closed >= self._steps or self._times >= MICRO:
                        self._finish()
            if not self._done:
                self._open(primals, names, given, given_names)
                self._calls[here] = list(given)
                self._marks[here] = len(recorder.turn.arithmetic) if recorder.turn else 0
        if self._done:
            self._stop()

    def _stop(self) -> None:
        if self._stopping is not None:
            self._stopping()
            raise StopWatching

    def _updated(self, here: Any, given: list[Any]) -> bool:
        """Whether an optimizer worked since the last call at this place, or what it differentiates is another now."""
        turn = self._recorder.turn
        assert turn is not None
        if any(each.optimizing for each in turn.arithmetic[self._marks[here] :]):
            return True
        before = self._calls[here]
        ours = {id(value) for value in turn.before.values()}
        return len(before) != len(given) or any(
            id(one) in ours and one is not other and distance(one, other) != 0.0
            for one, other in zip(before, given, strict=True)
        )

    def _open(self, primals: list[Any], names: list[Path], given: list[Any], given_names: list[Path]) -> None:
        """A turn begins, or goes on at a further place with what is trained there."""
        recorder = self._recorder
        now = sight.seen(primals, given, {path[0] for path in self._leaves})
        for array, name in zip(primals, names, strict=True):
            if trees.is_array(array) and id(array) not in now.others:
                path = ("", *name)
                now.others[id(array)], now.leaves[path], now.everywhere[path] = [path], trees.Leaf(path, array), array
        if recorder.turn is None:
            batch = [
                (handed.label(name), array)
                for name, array in zip(given_names, given, strict=True)
                if id(array) not in now.others and handed.sample(array)
            ]
            self._calls, self._marks, self._times = {}, {}, 0
            self._sight = now
            recorder.begin("", now.leaves, batch)
        else:
            turn = recorder.turn
            known = {id(value) for value in turn.before.values()}
            for path, leaf in now.leaves.items():
                cell = recorder.register(leaf.value, "input", source=path)
                if path not in turn.before and id(leaf.value) not in known and cell.kind == "input":
                    cell.source, cell.name = path, ""
                    turn.before[path], turn.entered[path] = leaf.value, cell.id
                    self._sight.leaves[path] = leaf
            for array, paths in now.others.items():
                self._sight.others.setdefault(array, paths)
            self._sight.tops.update(now.tops)
        for path, leaf in self._sight.leaves.items():
            self._leaves.setdefault(path, leaf)
        self._tops.update(self._sight.tops)

    def _close(self, here: Any, primals: list[Any], given: list[Any]) -> None:
        """The turn is over: what it left is what the loop goes on with."""
        turn = self._recorder.turn
        assert turn is not None
        before = self._calls[here]
        places = {id(array): place for place, array in enumerate(before)} if len(before) == len(given) else {}
        now = sight.seen(primals, given)
        self._end(lambda path, array: _successor(path, array, places, given, self._sight, now))

    def _end(self, after: Callable[[Path, Any], Any]) -> None:
        recorder = self._recorder
        turn = recorder.turn
        assert turn is not None
        for cell in turn.cells.values():  # what a function read before it was known to be trained
            outer = turn.cells.get(cell.origin) if cell.origin is not None and cell.kind == "input" else None
            if cell.source is None and outer is not None and not cell.requires_grad:
                cell.source = outer.source
        left = {}
        for path, array in turn.before.items():
            new = after(path, array)
            left[path] = trees.Leaf(path, new)
            self._foreign.setdefault(path, []).append(new is not array and key_of(new) not in recorder.known)
        recorder.end(left)
        turn.before.update(self._copies)
        self._copies = {}
        self._closed += 1

    def _keep(self, arguments: Sequence[Any]) -> None:
        turn = self._recorder.turn
        assert turn is not None
        ids = {id(each) for each in arguments}
        for path, value in turn.before.items():
            if id(value) in ids and not trees.is_key(value):
                self._copies.setdefault(path, np.array(value))

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────────
    def _finish(self) -> None:
        if self._done:
            return
        self._done = True
        recorder = self._recorder
        with recorder.hooks.apart():
            try:
                turn = recorder.turn
                if turn is not None:
                    recorder.flush()
                    if self._closed:  # not known to be over
                        recorder.turns.remove(turn)
                        recorder.turn = None
                    else:
                        now = sight.variables()
                        self._end(lambda path, array: _read(now, path, array))
                lost = recorder.blind() if recorder.lost else ""
                if not recorder.turns:
                    raise Unseen(lost or NOTHING)
                if lost:
                    raise NotOffered(lost)
                self._recording = self._assembled()
            except Exception as error:
                self._failure = error
        recorder.turn, recorder.kept, recorder.known = None, [], {}
        self._calls, self._sight = {}, Sight()
        if self._stopping is None:
            self._hooks.close()

    def _assembled(self) -> Recording:
        recorder = self._recorder
        turns = recorder.turns
        aside = _aside(turns, self._foreign)
        for turn in turns:
            for table in (turn.before, turn.after, turn.entered, turn.left):
                for path in [each for each in table if each in aside]:
                    del table[path]
            for cell in turn.cells.values():
                if cell.source in aside:
                    cell.source = None
        leaves = {path: leaf for path, leaf in self._leaves.items() if path not in aside}
        tops = {top: classes for top, classes in self._tops.items() if any(leaf.top == top for leaf in leaves.values())}
        seconds = time.perf_counter() - self._started
        assembly = Assembly(turns, leaves, tops, None, None, seconds, live=True, uses=recorder.uses)
        recording = assembly.recording()
        self._unread = unread(assembly, recording.modes)
        return recording

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block, until enough has been seen, JAX is watched."""
        with self._hooks:
            self._hooks.enter_context(hooked(self._recorder.hooks))
            yield


def _successor(path: Path, array: Any, places: Mapping[int, int], given: Sequence[Any], then: Sight, now: Sight) -> Any:
    """What the loop goes on with in the place of an array."""
    if id(array) in places:
        new = given[places[id(array)]]
        if getattr(new, "shape", None) == array.shape:
            return new
    for other in then.others.get(id(array), [path]):
        new = now.everywhere.get(other, array)
        if new is not array and getattr(new, "shape", None) == array.shape:
            return new
    return array


def _read(variables: Mapping[str, Any], path: Path, array: Any) -> Any:
    """What lies at a path now."""
    if path[0] in variables:
        for leaf in trees.leaves(variables[path[0]], path[:1]):
            if leaf.path == path and getattr(leaf.value, "shape", None) == array.shape:
                return leaf.value
    return array


def _aside(turns: list[Turn], foreign: Mapping[Path, list[bool]]) -> set[Path]:
    """The leaves that are no part of the training: never read, or samples that were differentiated."""
    roots: dict[str, list[Path]] = {}
    for path in foreign:
        roots.setdefault(path[0], []).append(path)
    used, moving, passed, consumed = set(), set(), {}, set()
    for turn in turns:
        read = {value for op in (*turn.ops, *turn.arithmetic) for value in op.reads}
        chosen = {turn.cells[value].source for run in turn.forwards for value in run.primals}
        used |= {p[0] for p, value in turn.entered.items() if value in read or p in chosen}
        moving |= {p[0] for p in chosen if p and turn.after.get(p) is not turn.before.get(p) and not any(foreign[p])}
        taken = 0
        for each in turn.arithmetic:
            if each.optimizing:
                for value in each.reads:
                    taken |= turn.taint.get(value, 0)
        for place, gradient in enumerate(turn.gradients):
            source = turn.cells[gradient.primal].source
            if source is None:
                continue
            passed.setdefault(source[0], set()).add((turn.step, gradient.backward))
            if taken >> place & 1:
                consumed.add(source[0])
    aside: set[Path] = set()
    for root, paths in roots.items():
        if root not in used:
            aside.update(paths)
        elif root in passed and root not in moving and root not in consumed and moving:
            strange = any(any(foreign[path]) for path in paths)
            alone = not any(passed[root] & passed.get(other, set()) for other in moving)
            if strange or alone:
                aside.update(paths)
    return aside


@contextmanager
def watching(steps: int, stopping: Callable[[], None] | None, words: Sequence[tuple[str, str]]) -> Iterator[JaxLive]:
    """Watch the loop that runs in the block, until enough has been seen; with `stopping`, call it then and raise
    StopWatching inside the loop, again at each further step if the loop swallows it."""
    live = JaxLive(steps, stopping, words)
    with live.watching():
        yield live
