"""Dangling: layers that were applied while a functional model was written, and whose result no model uses.

Keras leaves them out of the model without a word, so they never run; they are told as what they are: computed, in the
user's text, and used by nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.frames import Raw
from smokestep.backends.tensorflow.naming import layers_of
from smokestep.evidence.flow import Op, Value

FIRST = -1_000_000  # serials of what never ran


def adopt(assembly: Any) -> list[tuple[Any, Raw | None, list[Any]]]:
    """The layers with nothing behind them, each with its line and its variables; the training's optimizer would have
    held these, had the layer been in the model."""
    recorder = assembly.recorder
    known = {id(each) for model, _ in recorder.built.values() for each in layers_of(model) if each is not model}
    known |= set(assembly.models.paths)
    keys = [key for key in recorder.held if recorder.held[key] and recorder.updates.get(key)]
    if not keys or not any(_functional(top) for top in assembly.models.tops):
        return []
    key = max(keys, key=lambda each: len(recorder.held[each]))
    top = next(each for each in assembly.models.tops if _functional(each))
    found = []
    for layer, line in recorder.applied.values():
        if id(layer) in known or getattr(layer, "_outbound_nodes", True) or id(layer) in recorder.running.layers:
            continue
        variables = [each for each in getattr(layer, "_trainable_variables", ()) if each._value is not None]
        for variable in variables:
            place = recorder.places.of_variable(variable, len(recorder.ends))
            place.used = True
            recorder.held[key][id(place)] = place
            name = str(variable.path).replace("/", ".")
            assembly.models.path_of[id(variable._value)] = name
            assembly.models.owner[id(variable._value)] = layer
        assembly.models.top_of[id(layer)] = assembly.models.names[id(top)]
        if variables:
            found.append((layer, line, variables))
    return found


def _functional(model: Any) -> bool:
    return any(each.__name__ == "Functional" for each in type(model).__mro__)


def computed(assembly: Any, step: int) -> Iterator[tuple[Op, list[Value]]]:
    """For every such layer the operation that it would have been, with the values it reads and makes."""
    serial = FIRST
    for layer, line, variables in assembly.dangling:
        read = []
        for variable in variables:
            serial += 1
            name = assembly.names[id(variable._value)]
            dtype = str(variable.dtype)
            read.append(Value(serial, step, "parameter", name, None, tuple(variable.shape), dtype, True))
        serial += 2
        made = Value(serial, step, "made", "", serial - 1, (), "float32", True)
        where = frames.line_of(line)
        reads = tuple(each.id for each in read)
        stack = (where,) if where else ()
        kind = type(layer).__name__.lower()
        yield Op(serial - 1, step, kind, reads, (serial,), where, where, str(layer.name), stack=stack), [*read, made]
