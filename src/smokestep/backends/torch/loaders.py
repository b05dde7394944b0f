"""Loaders: the data loaders that a training makes and iterates, and what two of their workers would draw.

Nothing is started: copies of the data set are asked for a sample each, under the worker information, the seeds and a
process number as two workers would have them. The user's data set is only copied; generators that cannot be copied with
it (a module's, a closure's) are put back.
"""

from __future__ import annotations

import ast
import copy
import os
import pickle
import random
import sys
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch.utils.data import DataLoader, _DatasetKind
from torch.utils.data._utils import worker as workers

from smokestep.backends.torch import frames, reach, sources
from smokestep.backends.torch.feeds import FeedLog
from smokestep.backends.torch.frames import USER, Raw, kind_of_file
from smokestep.evidence.loaders import Loader, Owned
from smokestep.findings import Line
from smokestep.privacy import guard, seed_everything

KEPT = 8  # loaders; a program that makes one for each batch makes them all alike
OBJECTS = 2_000  # looked at for generators, nearest first
LENGTH = 256  # of a container; a longer one holds samples
BYTES = 2**28  # in tensors and arrays; a data set that holds more is not copied
SECONDS = 2.0  # for copying a data set or fetching one sample; both are done three times


@dataclass(slots=True)
class Heard:
    """What is kept of one loader; not the loader itself, which may hold processes."""

    dataset: Any
    collate: Any
    kind: int
    batched: bool
    drop_last: bool
    workers: int
    persistent: bool
    begins: Any  # worker_init_fn
    loader: weakref.ref[DataLoader[Any]]
    line: Raw | None


def heard(loader: DataLoader[Any], line: Raw | None = None) -> Heard:
    """What is kept of a loader, as it is now."""
    return Heard(
        loader.dataset,
        loader.collate_fn,
        loader._dataset_kind,
        loader._auto_collation,
        loader.drop_last,
        loader.num_workers,
        loader.persistent_workers,
        loader.worker_init_fn,
        weakref.ref(loader),
        line,
    )


def listen(stack: ExitStack, patch: Callable[..., None], hear: Callable[[DataLoader[Any], Raw | None], None]) -> None:
    """Hear of every data loader that is constructed or iterated."""

    def built(original: Any, loader: Any, *args: Any, **kwargs: Any) -> Any:
        original(loader, *args, **kwargs)
        hear(loader, frames.position()[1])

    def iterated(original: Any, loader: Any) -> Any:
        hear(loader, None)
        return original(loader)

    patch(stack, DataLoader, "__init__", built)
    patch(stack, DataLoader, "__iter__", iterated)


class Shelf:
    """The loaders heard of, by their data sets: those with two workers or more, and only the last few of them."""

    def __init__(self, now: Callable[[], int] = int) -> None:  # without a recording, nothing has an order
        self.feeds, self._now = FeedLog(), now
        self.loaders: dict[tuple[int, int], Heard] = {}
        self.root: Any = None  # a training that was there before: it may hold loaders that were made unheard

    def hear(self, loader: DataLoader[Any], line: Raw | None) -> None:
        """A loader was constructed on this line, or is iterated (None)."""
        if line is None:
            self.feeds.begun(loader, self._now())
        else:
            self.feeds.made(loader, line)
        self._keep(loader, line)

    def _keep(self, loader: DataLoader[Any], line: Raw | None) -> None:
        if getattr(loader, "num_workers", 0) < 2:
            return
        key = (id(loader.dataset), id(loader.collate_fn))  # both are kept, so that these are not given away again
        known = self.loaders.pop(key, None)
        self.loaders[key] = heard(loader, line or (known.line if known else None))
        for old in list(self.loaders)[:-KEPT]:
            del self.loaders[old]

    def tried(self) -> tuple[Loader, ...]:
        """What each would give its workers. Nothing is kept."""
        if self.root is not None:
            for thing in reach.reachable(self.root).values():
                if isinstance(thing, DataLoader):
                    self._keep(thing, None)
        those, self.loaders, self.root = list(self.loaders.values()), {}, None
        try:
            return tuple(map(_tried, those))
        finally:
            sources.forget()


def _tried(each: Heard) -> Loader:
    loader = each.loader()
    begins = each.begins if loader is None else loader.worker_init_fn
    told = Loader(
        type(each.dataset).__name__,
        each.workers,
        each.persistent,
        each.kind != _DatasetKind.Map,
        line=frames.line_of(each.line),
    )
    found = _generators(each.dataset, each.collate)
    if told.iterable or not found:
        return told
    if begins is not None:
        return replace(told, unknown="it has a worker_init_fn, which may give each worker a generator of its own")
    try:
        with guard(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runs = [_fetched(each, found, *way) for way in ((0, False), (1, False), (0, True))]
    except _TooMuch as much:
        return replace(told, unknown=str(much))
    except Exception as error:
        return replace(told, unknown=f"a copy of the data set gave no sample: {type(error).__name__}: {error}")
    owned = []
    for path, (generator, owner, attribute) in found.items():
        one, other, disturbed = (run.get(path) for run in runs)
        drew, alike = one not in (None, _state(generator)), one == other
        repeats = drew and alike and one != disturbed  # else the worker, or the sample's index, seeds it
        owned.append(Owned(path, type(generator).__name__, repeats, _line(owner, attribute)))
    return replace(told, generators=tuple(owned))


class _TooMuch(Exception):
    """More than is copied; the text says what."""


def _fetched(each: Heard, found: dict[str, Found], worker: int, disturbed: bool) -> dict[str, bytes]:
    """The states of all generators after a copy was asked for its first sample in this worker."""
    dataset, collate = _copied(each)
    with _put_back(found.values()), _in_worker(worker, each.workers, dataset):
        if disturbed:
            for generator, _, _ in _generators(dataset, collate).values():
                _disturb(generator)
        began = time.perf_counter()
        fetcher = _DatasetKind.create_fetcher(each.kind, dataset, each.batched, collate, each.drop_last)
        fetcher.fetch([0] if each.batched else 0)
        if time.perf_counter() - began > SECONDS:
            raise _TooMuch("fetching a sample takes too long to be tried")
        return {path: _state(generator) for path, (generator, _, _) in _generators(dataset, collate).items()}


def _copied(each: Heard) -> tuple[Any, Any]:
    things = [thing for _, thing, _, _ in _walk(each.dataset, each.collate)]
    size = sum(getattr(thing, "nbytes", 0) for thing in things if _holds(thing))
    if size > BYTES:
        raise _TooMuch(f"the data set holds {size / 2**20:.0f} MiB, and is not copied")
    modules = {id(thing): thing for thing in things if isinstance(thing, ModuleType)}  # stay themselves
    began = time.perf_counter()
    copied: tuple[Any, Any] = copy.deepcopy((each.dataset, each.collate), modules)
    if time.perf_counter() - began > SECONDS:
        raise _TooMuch("copying the data set takes too long")
    return copied


def _holds(thing: Any) -> bool:
    return isinstance(thing, torch.Tensor) or type(thing).__module__.partition(".")[0] == "numpy"


@contextmanager
def _in_worker(index: int, count: int, dataset: Any) -> Iterator[None]:
    """As in this worker: its information, its seeds, and another process number than the training's."""
    before, getpid = workers._worker_info, os.getpid
    seed_everything(index)
    workers._worker_info = workers.WorkerInfo(id=index, num_workers=count, seed=index, dataset=dataset)
    os.getpid = lambda: getpid() + 1 + index
    try:
        yield
    finally:
        workers._worker_info, os.getpid = before, getpid


# ── generators ─────────────────────────────────────────────────────────────────────────────────────────────────────
Found = tuple[Any, Any, str]  # a generator, the object that keeps it, and under which attribute


def _generators(dataset: Any, collate: Any) -> dict[str, Found]:
    """The random generators that these objects and the methods of their classes can reach, by path."""
    return {path: (thing, owner, name) for path, thing, owner, name in _walk(dataset, collate) if _is_generator(thing)}


def _walk(*roots: Any) -> Iterator[tuple[str, Any, Any, str]]:
    """Each object nearest first: its path, itself, the object that keeps it, and under which name."""
    queue: deque[tuple[str, Any, Any]] = deque(zip(("", "collate_fn"), roots, (None, None), strict=True))
    seen: set[int] = set()
    names: dict[int, str] = {}
    while queue and len(seen) < OBJECTS:
        path, thing, owner = queue.popleft()
        if id(thing) in seen or isinstance(thing, reach._ATOMS) and not isinstance(thing, ModuleType):
            continue
        seen.add(id(thing))
        names[id(thing)] = path
        yield path, thing, owner, path.rpartition(".")[2].partition("[")[0]
        if isinstance(thing, ModuleType) or _is_generator(thing) or _holds_many(thing):
            continue
        keeps = owner if isinstance(thing, (list, tuple, dict)) else thing
        queue.extend((name, value, keeps) for name, value in reach._children(path, thing, names))
        queue.extend((path, method, None) for method in _methods(type(thing)))


def _holds_many(thing: Any) -> bool:
    return isinstance(thing, (list, tuple, dict, set, frozenset, deque)) and len(thing) > LENGTH


def _methods(kind: type) -> Iterable[FunctionType]:
    """The functions of a class that the user wrote: they may use a generator of their module."""
    for each in kind.__mro__:
        for value in list(vars(each).values()):
            if isinstance(value, FunctionType) and kind_of_file(value.__code__.co_filename) == USER:
                yield value


def _is_generator(thing: Any) -> bool:
    """Whether it is a random generator of its own, which is not the global one and has a state that can be kept."""
    if isinstance(thing, torch.Generator):
        return thing is not torch.default_generator and thing.device.type == "cpu"
    if isinstance(thing, random.Random):
        return not isinstance(thing, random.SystemRandom) and thing is not getattr(random, "_inst", None)
    numpy = sys.modules.get("numpy.random")
    if numpy is None or not isinstance(thing, (numpy.Generator, numpy.RandomState)):
        return False
    return thing is not numpy.mtrand._rand


def _line(owner: Any, name: str) -> Line | None:
    """Where a generator is assigned: to an attribute, or to a name of a module."""
    if not isinstance(owner, reach.Globals):
        return sources.built_at(type(owner), name) if owner is not None else None
    file = owner.namespace.get("__file__")
    tree = frames.tree(file) if isinstance(file, str) else None
    for node in ast.walk(tree) if tree else ():
        names = node.targets if isinstance(node, ast.Assign) else ()
        if any(isinstance(each, ast.Name) and each.id == name for each in names):
            return frames.line_of((file, node.lineno))
    return None


def _state(generator: Any) -> bytes:
    return pickle.dumps(_kept(generator)[0])


def _kept(generator: Any) -> tuple[Any, Callable[[], object]]:
    """The state of a generator, and what puts it back."""
    if isinstance(generator, torch.Generator):
        state = generator.get_state()
        return state.tolist(), lambda: generator.set_state(state)
    if isinstance(generator, random.Random):
        state = generator.getstate()
        return state, lambda: generator.setstate(state)
    if hasattr(generator, "bit_generator"):
        state = generator.bit_generator.state
        return state, lambda: setattr(generator.bit_generator, "state", state)
    state = generator.get_state(legacy=False)
    return state, lambda: generator.set_state(state)


def _disturb(generator: Any) -> None:
    """Draw from it, so that it is in another state."""
    if isinstance(generator, torch.Generator):
        torch.rand(7, generator=generator, device=generator.device)
    else:
        for _ in range(7):
            generator.random()


@contextmanager
def _put_back(found: Iterable[Found]) -> Iterator[None]:
    kept = [_kept(generator) for generator, _, _ in found]
    try:
        yield
    finally:
        for _, put in kept:
            put()
