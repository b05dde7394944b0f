"""Handed: which arguments of a compiled call are differentiated in it, what they are called, which are samples."""

from __future__ import annotations

import re
from typing import Any

from smokestep.backends.jax import trees
from smokestep.backends.jax.programs import program_of
from smokestep.backends.jax.sight import Path
from smokestep.backends.jax.sketch import Plain


def differentiated(closed: Any) -> list[int]:
    """Which arguments of a compiled call are differentiated in it, as they are or cast or moved about."""
    found = program_of(closed).plain
    makers = {made: step for step in found.steps for made in step.makes}
    places = {number: place for place, number in enumerate(found.inputs)}
    chosen: dict[int, None] = {}
    for step in found.steps:
        if step.name != "forward" or step.body is None:
            continue
        for read in step.reads[: step.params["counted"]]:
            value: Any = read
            for _ in range(8):
                if isinstance(value, Plain) or value in places:
                    break
                maker = makers.get(value)
                value = maker.operands[0] if maker is not None and len(maker.operands) == 1 else Plain(None)
            if not isinstance(value, Plain) and value in places:
                chosen[places[value]] = None
    return list(chosen)


def names(closed: Any, count: int) -> list[Path]:
    """What the arguments of a compiled call are called: `params['w']` is ("params", "w")."""
    names = list(getattr(closed.jaxpr.debug_info, "arg_names", None) or ())
    names += [None] * (count - len(names))
    return [
        tuple(re.findall(r"\w+", str(name))) if name else (f"argument {i}",) for i, name in enumerate(names[:count])
    ]


def label(name: Path) -> str:
    """A sample's name, as that of an element of a batch."""
    return f"batch[{'.'.join(name)!r}]"


def sample(array: Any) -> bool:
    """Whether an array may belong to a batch: a key or a single number does not."""
    shape = getattr(array, "shape", ())
    return trees.is_array(array) and len(shape) > 0 and not trees.is_key(array) and str(array.dtype) != "uint32"
