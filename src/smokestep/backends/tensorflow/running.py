"""Running: which layers run, in which mode, and what the models among them are given and give.

A root is a layer that no other layer called. The flag that counts is the one a layer was really called with.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from tensorflow.python import pywrap_tfe
from tensorflow.python.framework import ops as tf_ops

from smokestep.backends.keras_objects import DROPOUTS, NORMS, samples_by_axis
from smokestep.backends.tensorflow import composites, frames
from smokestep.backends.tensorflow.frames import Raw, Trail
from smokestep.backends.tensorflow.places import Place
from smokestep.backends.tensorflow.trace import array_of

if TYPE_CHECKING:
    from smokestep.backends.tensorflow.recorder import Recorder

CARING = DROPOUTS | {"BatchNormalization", "GaussianNoise", "StochasticDepth"}
MOVING = ("moving_mean", "moving_variance")


class Entry:
    """One call of a layer that runs."""

    __slots__ = ("called", "contained", "layer", "line", "stack", "training")

    def __init__(self, layer: Any, training: bool, found: Trail, contained: bool) -> None:
        self.layer, self.training, self.contained = layer, training, contained
        self.line, self.stack = found.line, found.stack
        self.called: Called | None = None


class Called:
    """One call of a root model."""

    def __init__(self, event: Any, layer: Any, inputs: list[tuple[str, int]], varied: bool, grad: bool) -> None:
        self.event, self.layer, self.inputs, self.varied, self.grad = event, layer, inputs, varied, grad
        self.training = True
        self.outputs: list[int] = []
        self.spread: list[float | None] = []
        self.ranges: list[tuple[float, float] | None] = []
        self.args: tuple[Any, Any] | None = None  # what it was given, for as long as the call can be made again
        self.returned: list[str] = []
        self.results: list[Any] = []  # what it gave, for as long


class Ran:
    """How often one layer ran in one mode within one step."""

    __slots__ = ("grad", "layer", "line", "ops", "samples", "step", "times", "training")

    def __init__(self, layer: Any, step: int, training: bool, grad: bool, line: Raw | None) -> None:
        self.layer, self.step, self.training, self.grad, self.line = layer, step, training, grad, line
        self.times, self.samples = 0, None
        self.ops: list[tuple[int, int]] = []  # the serials between which it ran


class Running:
    """Hears every call of a layer."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.entries: list[Entry] = []
        self.calls: list[Called] = []
        self.roots: dict[int, Any] = {}
        self.layers: dict[int, Any] = {}
        self.ran: list[set[int]] = [set()]
        self.runs: dict[Any, Ran] = {}
        self.outputs: set[int] = set()
        self._caring: dict[int, bool] = {}
        self.dropouts: list[tuple[Any, Entry]] = []  # dropout called as a function: the operation, where it ran
        self.normalized: list[Any] = []  # calls of normalizing functions
        self.names: dict[int, str] = {}  # variable names of the user's for models and optimizers

    def forget(self) -> None:
        """Forget the calls made while the training was built."""
        self.calls.clear()
        self.roots.clear()
        self.layers.clear()
        self.runs.clear()
        self.dropouts.clear()
        self.normalized.clear()
        self.outputs.clear()
        self.ran = [set()]

    def turn(self) -> None:
        """A step is over."""
        self.ran.append(set())

    # ── calls ──────────────────────────────────────────────────────────────────────────────────────────────────
    def enters(self, layer: Any, args: Any, kwargs: Any) -> Entry:
        """A layer is about to run."""
        recorder, tracer = self.recorder, self.recorder.tracer
        tracer.close_group()
        found = frames.trail(3)
        flag = kwargs.get("training")
        if flag is None and hasattr(layer, "_get_call_context"):
            flag = layer._get_call_context().get_value("training")
        if flag is None:  # not said: it matters to a model in which some layer asks for it
            flag = self.entries[-1].training if self.entries else not self._cares(layer)
        if NORMS.get(type(layer).__name__) == "batch_norm" and not layer.trainable:
            flag = False  # Keras lets a frozen one run in inference mode, whatever it is told
        for name in MOVING if flag else ():  # what they hold is wanted from before they are written
            if (moving := getattr(layer, name, None)) is not None:
                recorder.places.of_variable(moving, recorder.step)
        parent = self.entries[-1] if self.entries else None
        contained = parent is not None and type(parent.layer).__name__ in ("Functional", "Sequential")
        entry = Entry(layer, bool(flag), found, contained)
        grad = not pywrap_tfe.TFE_Py_TapeSetIsEmpty()
        if parent is None and not found.muted:
            recorder.turn()
            entry.called = self._root(layer, args, kwargs, grad, entry)
        self.layers.setdefault(id(layer), layer)
        self.ran[-1].add(id(layer))
        key = (id(layer), recorder.step, entry.training, grad)
        run = self.runs.get(key)
        if run is None:
            run = self.runs[key] = Ran(layer, recorder.step, entry.training, grad, self._mode_line(entry))
        run.times += 1
        run.samples = samples(layer, args)
        run.ops.append((tracer.next(), 0))
        self.entries.append(entry)
        tracer.layers.append(layer)
        return entry

    def _cares(self, layer: Any) -> bool:
        """Whether a layer, or one in it, does something else in training."""
        if id(layer) not in self._caring:
            within = getattr(layer, "_flatten_layers", lambda: (layer,))()
            names = {each.__name__ for one in within for each in type(one).__mro__}
            self._caring[id(layer)] = bool(names & CARING)
        return self._caring[id(layer)]

    def _mode_line(self, entry: Entry) -> Raw | None:
        """The line that chose the mode: of the outermost call that already had it."""
        chain = [*self.entries, entry]
        first = next((i for i, each in enumerate(chain) if all(e.training == entry.training for e in chain[i:])), 0)
        chosen = chain[first]
        return chosen.stack[0] if chosen.stack else chosen.line

    def _root(self, layer: Any, args: Any, kwargs: Any, grad: bool, entry: Entry) -> Called:
        recorder = self.recorder
        composites.load()
        self.roots.setdefault(id(layer), layer)
        self.read(frames.user_frame())
        event = recorder.note("forward", layer, entry.stack[0] if entry.stack else entry.line)
        event.detail = {"training": entry.training, "grad": grad}
        inputs = [
            (name, recorder.tracer.value_of(tensor).id)
            for name, tensor in arguments(layer, args, kwargs)
            if isinstance(tensor, tf_ops.EagerTensor)
        ]
        given = [tensor for _, tensor in arguments(layer, args, kwargs)]
        called = Called(event, layer, inputs, any(map(varies, given)), grad)
        called.training, called.args = entry.training, (args, kwargs)
        for each in self.calls:
            if self.recorder.ends and each.event.index <= self.recorder.ends[-1]:
                each.args, each.results = None, []
        self.calls.append(called)
        return called

    def leaves(self, entry: Entry | None) -> None:
        """A layer has run, or raised."""
        if entry is None or not self.entries:
            return
        self.recorder.tracer.close_group()
        while self.entries:
            last = self.entries.pop()
            self.recorder.tracer.layers.pop()
            if last is entry:
                break
        key = next((key for key in reversed(self.runs) if key[0] == id(entry.layer)), None)
        if key is not None and self.runs[key].ops:
            self.runs[key].ops[-1] = (self.runs[key].ops[-1][0], self.recorder.tracer.next())

    def answered(self, entry: Entry, result: Any) -> None:
        """A layer gave this."""
        called = entry.called
        if called is None:
            return
        for name, tensor in flat(result, ""):
            if not isinstance(tensor, tf_ops.EagerTensor):
                continue
            seen = self.recorder.tracer.value_of(tensor)
            if seen.group is not None and seen.id not in seen.group.makes:
                seen.group.makes.append(seen.id)
            self.outputs.add(seen.id)
            called.outputs.append(seen.id)
            called.returned.append(name)
            called.results.append(tensor)
            called.spread.append(spread(tensor))
            called.ranges.append(extremes(tensor))

    def dropped(self, op: Any) -> None:
        """Dropout is called as a function."""
        if self.entries and not self.recorder.tracer.keep:
            self.dropouts.append((op, self.entries[-1]))

    def declared(self, found: Trail) -> Raw | None:
        """Where the user put the layer that runs, if a container of Keras calls it and no code of the user's lies
        deeper."""
        if not self.entries or not self.entries[-1].contained:
            return None
        entry = self.entries[-1]
        if found.stack != entry.stack:
            return None
        where = self.recorder.applied.get(id(entry.layer)) or self.recorder.built.get(id(entry.layer))
        return where[1] if where is not None else None

    def building(self, place: Place) -> bool:
        """Whether a variable is written while it is made."""
        return not place.used

    def spread(self, place: Place, gradient: Any) -> tuple[float | None, ...]:
        """For `Beginnings`: how far the slices of a gradient lie from the first."""
        first = place.first
        dims = alike(first) if first is not None else ()
        return apart(array_of(gradient), dims) if dims and type(gradient).__name__ != "IndexedSlices" else ()

    def read(self, frame: Any) -> None:
        """Take the names of models and optimizers from a frame of the user's."""
        if frame is None:
            return
        local = frame.f_locals
        owner = local.get("self")
        attributes = {} if owner is None or self.recorder.is_layer(owner) else getattr(owner, "__dict__", {})
        for names in (local, attributes, frame.f_globals):
            for name, value in list(names.items()):
                if name in ("self", "layer") or name.startswith("_") or id(value) in self.names:
                    continue
                if hasattr(value, "trainable_variables") or hasattr(value, "apply_gradients"):
                    self.names[id(value)] = name


def arguments(layer: Any, args: Any, kwargs: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The tensors among the arguments, under the names that the layer's `call` gives them."""
    try:
        names = list(inspect.signature(layer.call).parameters)
    except (TypeError, ValueError):
        names = []
    for index, value in enumerate(args):
        yield from flat(value, names[index] if index < len(names) and names[index] != "args" else f"argument {index}")
    for name, value in kwargs.items():
        yield from flat(value, name)


def flat(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The tensors and arrays in nested arguments, each with its path."""
    if isinstance(value, (tf_ops.EagerTensor, np.ndarray)):
        yield name, value
    elif depth < 4 and isinstance(value, Mapping):
        for key, each in value.items():
            yield from flat(each, f"{name}.{key}".lstrip("."), depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from flat(each, f"{name}.{index}".lstrip("."), depth + 1)


def varies(tensor: Any) -> bool:
    """Whether the first rows of a tensor differ from each other."""
    array = array_of(tensor)
    if array is None or array.ndim == 0 or array.shape[0] < 2 or not array.size:
        return False
    plain = array[:64]
    return bool((plain[1:] != plain[:1]).any())


def spread(tensor: Any) -> float | None:
    """The largest difference between rows of dimension 0; None where there are no rows to compare."""
    array = array_of(tensor)
    if array is None or array.dtype.kind != "f" or array.ndim == 0 or array.shape[0] < 2 or not array.size:
        return None
    with np.errstate(all="ignore"):
        return float(np.max(array.max(axis=0).astype(np.float64) - array.min(axis=0)))


def extremes(tensor: Any) -> tuple[float, float] | None:
    """The least and greatest entry."""
    array = array_of(tensor)
    if array is None or array.dtype.kind != "f" or not array.size:
        return None
    return float(array.min()), float(array.max())


def samples(layer: Any, args: Any) -> int | None:
    """Values per channel of a batch normalization, or per group of another one."""
    kind = NORMS.get(type(layer).__name__)
    shape = tuple(getattr(args[0], "shape", ())) if args else ()
    if kind is None or not shape or any(each is None for each in shape):
        return None
    return samples_by_axis(layer, kind, shape)


def alike(array: Any) -> tuple[int, ...]:
    """Of the first two dimensions of a matrix (or more), those along which all slices are bit for bit the same."""
    if array.ndim < 2 or not array.size or array.dtype.kind != "f":
        return ()
    return tuple(dim for dim in (0, 1) if array.shape[dim] > 1 and bool((array == np.take(array, [0], axis=dim)).all()))


def apart(gradient: Any, dims: Iterable[int]) -> tuple[float | None, ...]:
    """How far the slices of a gradient lie from the first, beside its largest entry; None if zero or not finite."""
    if gradient is None:
        return tuple(None for _ in dims)
    largest = float(np.max(np.abs(gradient))) if gradient.size else 0.0
    if not 0.0 < largest < float("inf"):
        return tuple(None for _ in dims)
    return tuple(float(np.max(np.abs(gradient - np.take(gradient, [0], axis=dim)))) / largest for dim in dims)


def counted(names: Iterable[str]) -> Counter[str]:
    """How often each name occurs."""
    return Counter(names)
