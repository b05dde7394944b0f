"""Places: the variables of the training: whose they are, what they held before each step, and how they moved."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tensorflow.python.eager import record

from smokestep.backends.tensorflow.frames import Raw
from smokestep.backends.tensorflow.trace import Seen, array_of


@dataclass(slots=True)
class Row:
    """What one step did to a variable."""

    gradient: float | None = None
    received: float | None = None
    measured: float | None = None  # gradient that exists, though the training did not ask for it
    update: float = 0.0
    scale: float = 0.0
    rate: float | None = None
    called: bool | None = None
    requires_grad: bool = True
    spread: tuple[float | None, ...] = ()


@dataclass
class Place:
    """One variable. `version` is the value it holds, as far as it was seen; `before` what it held at the last turn."""

    variable: Any
    kind: str = "parameter"
    version: Seen | None = None
    before: Any = None
    first: Any = None  # what it held when it was first seen
    since: frozenset[int] = frozenset()
    row: Row = field(default_factory=Row)
    rows: list[Row] = field(default_factory=list)
    asked: bool = False  # some gradient was asked for it
    used: bool = False


class Places:
    """Every variable met, by the number of its handle."""

    def __init__(self) -> None:
        self.found: dict[int, Place] = {}
        self._variables: dict[int, Any] = {}
        self.asked: list[Any] = []  # variables that were asked whether they train, since the last operation
        self._made: dict[int, tuple[int, Raw]] = {}  # by handle: in which layer's own code, on which line
        self.keras: dict[int, Any] = {}  # by the identity of the tf.Variable: the Keras variable around it

    def know(self, variable: Any) -> None:
        """A variable was made."""
        handle = getattr(variable, "_handle", None)
        if handle is not None and hasattr(handle, "_id"):
            self._variables[handle._id] = weakref.ref(variable)

    def born(self, variable: Any, frame: Any) -> None:
        """A variable was made, for code of the user's in this frame."""
        handle = getattr(variable, "_handle", None)
        if frame is not None and hasattr(handle, "_id"):
            self._made[handle._id] = id(frame.f_locals.get("self")), (frame.f_code.co_filename, frame.f_lineno)

    def made(self, variable: Any, layer: Any) -> Raw | None:
        """The line of a layer's own code that made a variable, if it is the user's."""
        owner, line = self._made.get(getattr(getattr(variable, "_handle", None), "_id", -1), (0, None))
        return line if owner == id(layer) else None

    def look_around(self, living: Mapping[str, list[Any]]) -> None:
        """Every variable that is alive already."""
        for each in living["variable"]:
            self.know(each)
        for each in living["keras"]:
            if each._value is not None:
                self.keras[id(each._value)] = each

    def holding(self, tensor: Any) -> Any:
        """The handle of the variable that this tensor was read from: TensorFlow reads one that is given to some of its
        operations by itself, which nothing hears, but asks it first whether it trains. Those read first come first."""
        array = array_of(tensor)
        with record.stop_recording():
            for index, each in enumerate(self.asked):
                if each.shape == tensor.shape and each.dtype == tensor.dtype and hasattr(each._handle, "_id"):
                    held = array_of(each.read_value())
                    if array is not None and held is not None and held.tobytes() == array.tobytes():
                        del self.asked[index]
                        self.know(each)
                        return each.handle
        return None

    def knows(self, handle: Any) -> bool:
        """Whether the variable of a handle is made."""
        return handle._id in self._variables

    def of(self, handle: Any, steps: int) -> Place:
        """The place of a handle."""
        place = self.found.get(handle._id)
        ref = self._variables.get(handle._id)
        if place is None or (place.variable is None and ref is not None):  # it was read before it was whole
            variable = ref() if ref is not None else None
            place = self.found[handle._id] = Place(variable)
            place.rows = [Row() for _ in range(steps)]
            if variable is not None:
                place.kind = "parameter" if variable.trainable else "buffer"
                self.shadow(place)
        return place

    def of_variable(self, variable: Any, steps: int) -> Place | None:
        """The place of a variable, plain or of Keras; None for what is none."""
        plain = getattr(variable, "_value", variable)
        handle = getattr(plain, "_handle", None)
        if handle is None or not hasattr(handle, "_id"):
            return None
        self.know(plain)
        return self.of(handle, steps)

    def shadow(self, place: Place) -> None:
        """Take what a variable holds now, to compare with later."""
        array = _array(place.variable)
        place.before = array
        if place.first is None:
            place.first = array
        place.row.scale = _largest(array)

    def turn(self) -> None:
        """A step is over: how far did each variable move, to the bit?"""
        for place in self.found.values():
            if place.variable is None:
                continue
            now = _array(place.variable)
            row = place.row
            if place.before is None or now is None or now.shape != place.before.shape:
                row.update = 0.0
            elif now.tobytes() != place.before.tobytes():
                with np.errstate(all="ignore"):
                    moved = float(np.max(np.abs(now.astype(np.float64) - place.before.astype(np.float64))))
                row.update = moved or np.finfo(np.float64).tiny
            row.requires_grad = bool(self.trainable(place))
            place.rows.append(row)
            place.row = Row(scale=_largest(now))
            place.before = now

    def trainable(self, place: Place) -> bool:
        """Whether a variable is to be trained, by its own word."""
        keras = self.keras.get(id(place.variable))
        return bool(getattr(keras if keras is not None else place.variable, "trainable", True))

    def __iter__(self) -> Iterator[Place]:
        return iter(list(self.found.values()))


def _array(variable: Any) -> Any:
    """A copy of what a variable holds; None for what holds no numbers."""
    try:
        array = np.array(variable.numpy())
    except Exception:
        return None
    if array.dtype.name.startswith("bfloat16"):
        array = array.astype(np.float32)
    return array if array.dtype.kind in "fiub" else None


def _largest(array: Any) -> float:
    return float(np.max(np.abs(array))) if array is not None and array.size and array.dtype.kind == "f" else 0.0
