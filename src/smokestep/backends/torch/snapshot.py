"""Snapshot: the objects a training can change: copied, put back in place, and compared bit for bit.

Every object keeps its identity and every tensor its storage; what could not be put back is told by name.
"""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import length_hint
from types import CellType, FunctionType
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from smokestep.backends.torch.reach import Globals, attributes, followed, reachable

Kept: TypeAlias = tuple[Callable[[], None], Callable[[], bool]]  # put back; is it as it was?
Snapshot: TypeAlias = dict[str, Kept]

_WATCHED = 2**28  # bytes; a plain tensor above this (a dataset) is not copied, its version counter is watched
_MISSING = object()
_STATE = (nn.Module, torch.Tensor, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, torch.Generator)
_STATE += (torch.amp.GradScaler, random.Random)


@dataclass(slots=True)
class Changes:
    """The names of what is not as it was after all; filled when the block ends."""

    names: tuple[str, ...] = ()


@contextmanager
def preserved(*roots: Any) -> Iterator[Changes]:
    """Put back, at the end of the block and also when it raises, everything that `roots` can reach."""
    changes = Changes()
    before = snapshot(reachable(*roots))
    try:
        yield changes
    finally:
        restore(before)
        changes.names = differences(before)


def state_around(factory: Callable[..., Any]) -> list[Any]:
    """What a function that builds a training reaches and could train or draw from: models, tensors, optimizers,
    schedulers, generators. The plain lists and variables around them are its own notes, and are left alone."""
    return [
        thing
        for thing in reachable(getattr(factory, "__wrapped__", factory)).values()
        if isinstance(thing, _STATE) or type(thing).__module__.startswith("numpy.random")
    ]


def snapshot(objects: Mapping[str, Any]) -> Snapshot:
    """Copies of what can change in these objects, one level each: hand over all that are reachable."""
    training = {id(tensor) for thing in objects.values() for tensor in _own_tensors(thing)}
    kept: Snapshot = {}
    for name, thing in objects.items():
        try:
            tensor = isinstance(thing, torch.Tensor)
            one = _tensor(thing, thing.requires_grad or id(thing) in training) if tensor else _kept(thing)
        except Exception:  # an object with rules of its own (a batched or fake tensor, a proxy): left alone
            continue
        if one is not None:
            kept[name] = one
    return kept


def restore(before: Snapshot) -> None:
    """Put everything back in place; one object that cannot be put back does not keep the others from it."""
    for put, _ in before.values():
        try:
            put()
        except Exception:  # whatever is not as it was is told by `differences`
            continue


def differences(before: Snapshot) -> tuple[str, ...]:
    """The names of the objects that are not, bit for bit, as they were at the snapshot."""
    return tuple(name for name, (_, same) in before.items() if not same())


def _own_tensors(thing: Any) -> Iterable[torch.Tensor]:
    if isinstance(thing, nn.Module):
        return thing.buffers()
    if isinstance(thing, torch.optim.Optimizer):
        held = (value for state in thing.state.values() if isinstance(state, dict) for value in state.values())
        return (value for value in held if isinstance(value, torch.Tensor))
    return ()


def _tensor(tensor: torch.Tensor, owned: bool) -> Kept:
    kind, version, wants = type(tensor), tensor._version, tensor.requires_grad
    if isinstance(tensor, UninitializedTensorMixin):
        return _nothing, lambda: type(tensor) is kind
    data = tensor.data
    copy = _dense(data).clone() if owned or data.nbytes <= _WATCHED else None
    layout = _layout(data)
    grad = tensor.grad if tensor.is_leaf else None
    kept_grad = _tensor(grad, True) if grad is not None else None

    def bits() -> bool:
        return tensor._version == version if copy is None else same_bits(_dense(tensor.data), copy)

    def put() -> None:
        if _layout(tensor.data) != layout:
            tensor.data = data
        if copy is not None and not bits():  # no needless write: the memory may be a read-only file's
            _dense(tensor.data).copy_(copy)
        if tensor.requires_grad != wants and tensor.is_leaf:
            tensor.requires_grad_(wants)
        if tensor.is_leaf and tensor.grad is not grad:
            tensor.grad = grad
        if kept_grad is not None:
            kept_grad[0]()

    def same() -> bool:
        kept = tensor.requires_grad == wants and _layout(tensor.data) == layout and bits()
        return kept and (not tensor.is_leaf or tensor.grad is grad) and (kept_grad is None or kept_grad[1]())

    return put, same


def _nothing() -> None:
    return None


def _layout(data: torch.Tensor) -> tuple[Any, ...]:
    if data.layout is not torch.strided:
        return data.dtype, data.device, data.shape
    return data.dtype, data.device, data.shape, data.stride(), data.data_ptr()


def _dense(data: torch.Tensor) -> torch.Tensor:
    """Without the repetitions of an expanded dimension, which cannot be written to."""
    if data.layout is not torch.strided:
        return data
    for dim, (size, stride) in enumerate(zip(data.shape, data.stride(), strict=True)):
        if size > 1 and stride == 0:
            data = data.narrow(dim, 0, 1)
    return data


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal bit for bit: a NaN equals itself, and 0.0 is not -0.0."""
    if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
        return False
    if one.is_meta:
        return True
    if one.layout is not torch.strided:
        return (
            one.is_sparse and same_bits(one._indices(), other._indices()) and same_bits(one._values(), other._values())
        )
    if one.is_complex():
        one, other = torch.view_as_real(one.resolve_conj()), torch.view_as_real(other.resolve_conj())
    if one.is_floating_point():
        whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[one.element_size()]
        one, other = one.view(whole), other.view(whole)
    return torch.equal(one, other)


def _kept(thing: Any) -> Kept | None:
    if isinstance(thing, torch.Generator):
        return _by(thing.get_state, thing.set_state)
    if isinstance(thing, random.Random):
        return _by(thing.getstate, thing.setstate)
    if type(thing).__module__.partition(".")[0] == "numpy":
        return _numpy(thing)
    if isinstance(thing, CellType):
        return _cell(thing)
    if isinstance(thing, Globals):
        return _named(thing.namespace, thing.names)
    if isinstance(thing, list):
        return _container(thing, lambda saved: list.__setitem__(thing, slice(None), saved))
    if isinstance(thing, dict):
        kind = OrderedDict if isinstance(thing, OrderedDict) else dict  # a subclass may refuse what it inherits
        return _container(thing, lambda saved: (kind.clear(thing), kind.update(thing, saved)))
    if isinstance(thing, (set, bytearray)):
        return _container(
            thing, lambda saved: (thing.clear(), (thing.update if isinstance(thing, set) else thing.extend)(saved))
        )
    if isinstance(thing, deque):
        return _container(thing, lambda saved: (thing.clear(), thing.extend(saved)))
    if isinstance(thing, Iterator) and not followed(thing):
        start = _progress(thing)
        return _nothing, lambda: _progress(thing) == start
    if isinstance(thing, FunctionType) or (followed(thing) and not isinstance(thing, (tuple, frozenset))):
        return _instance(thing)
    return None


def _by(get: Callable[[], Any], put: Callable[[Any], object]) -> Kept:
    saved = get()
    return lambda: (put(saved), None)[1], lambda: same_state(get(), saved)


def _numpy(thing: Any) -> Kept | None:
    numpy = sys.modules["numpy"]
    if isinstance(thing, numpy.ndarray) and thing.nbytes <= _WATCHED:
        saved = thing.copy()

        def put() -> None:
            if thing.tobytes() != saved.tobytes():
                thing[...] = saved

        return put, lambda: thing.tobytes() == saved.tobytes()
    if isinstance(thing, numpy.random.Generator):
        bits = thing.bit_generator
        state = bits.state
        return lambda: setattr(bits, "state", state), lambda: repr(bits.state) == repr(state)
    if isinstance(thing, numpy.random.RandomState):
        before = thing.get_state()
        return lambda: thing.set_state(before), lambda: repr(thing.get_state()) == repr(before)
    return None


def _cell(cell: CellType) -> Kept:
    def value() -> Any:
        try:
            return cell.cell_contents
        except ValueError:  # empty: not assigned yet
            return _MISSING

    saved = value()

    def put() -> None:
        if saved is not _MISSING:
            cell.cell_contents = saved
        elif value() is not _MISSING:
            del cell.cell_contents

    return put, lambda: _identical(value(), saved)


def _named(namespace: dict[str, Any], names: Iterable[str]) -> Kept:
    saved = {name: namespace.get(name, _MISSING) for name in names}

    def put() -> None:
        for name, value in saved.items():
            if value is _MISSING:
                namespace.pop(name, None)
            elif namespace.get(name) is not value:
                namespace[name] = value

    return put, lambda: all(_identical(namespace.get(name, _MISSING), value) for name, value in saved.items())


def _container(thing: Any, put: Callable[[Any], object]) -> Kept:
    def items() -> list[Any]:
        return list(thing.items()) if isinstance(thing, dict) else list(thing)

    saved = items()

    def same() -> bool:
        now = items()
        if isinstance(thing, set):
            return set(now) == set(saved)
        return len(now) == len(saved) and all(map(_identical, now, saved))

    return lambda: None if same() else (put(saved), None)[1], same


def _instance(thing: Any) -> Kept:
    kind, saved = type(thing), attributes(thing)
    fields = getattr(thing, "__dict__", {})
    slotted = saved.keys() - fields.keys()

    def put() -> None:
        if type(thing) is not kind:
            thing.__class__ = kind
        now = attributes(thing)
        for name in now.keys() - saved.keys():
            fields.pop(name) if name in fields else object.__delattr__(thing, name)
        for name, value in saved.items():
            if name not in now or not _identical(now[name], value):
                object.__setattr__(thing, name, value) if name in slotted else fields.__setitem__(name, value)

    def same() -> bool:
        now = attributes(thing)
        kept = type(thing) is kind and now.keys() == saved.keys()
        return kept and all(_identical(now[name], value) for name, value in saved.items())

    return put, same


def _identical(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_identical, one, other))
    return isinstance(one, (bool, int, float, complex, str, bytes)) and bool(one == other)


def _progress(iterator: Iterator[Any]) -> tuple[Any, ...]:
    """As far as can be seen without moving it, how far an iterator has come; it cannot be put back."""
    if isinstance(iterator, Generator):
        frame = iterator.gi_frame
        return () if frame is None else (frame.f_lasti, [(name, id(value)) for name, value in frame.f_locals.items()])
    shown = [(name, id(value)) for name, value in attributes(iterator).items()]
    return length_hint(iterator, -1), repr(iterator), shown


def same_state(one: Any, other: Any) -> bool:
    """Whether two states of a random generator are equal."""
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same_state, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return bool(one.tobytes() == other.tobytes() if hasattr(one, "tobytes") else one == other)
