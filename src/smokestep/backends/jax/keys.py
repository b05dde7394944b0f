"""Random keys: which operations use one, and what its bits are.

Keys of the new style are known by their type; those of the old style, plain numbers, by the function they go to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from smokestep.backends.jax import frames
from smokestep.backends.jax.sketch import Plain, Sketch, Step

DRAWS = frozenset({"random_bits", "random_gamma", "threefry2x32", "rng_uniform"})
QUIET = frozenset("key PRNGKey _key key_data wrap_key split _random_split fold_in clone key_impl random_seed".split())
MANY = 64  # keys of one use that are told apart: those of the first samples


@dataclass(frozen=True, slots=True)
class Drawn:
    """One use of keys in a sketch: which value they are, and what was done with them."""

    step: int
    value: int
    kind: Literal["draw", "split"]
    name: str
    shape: tuple[int, ...]


def uses(sketch: Sketch) -> list[Drawn]:
    """The uses of keys in a sketch, its marked functions left out."""
    found = []
    for number, step in enumerate(sketch.steps):
        if step.body is not None or step.apart or not step.operands:
            continue
        kind = kind_of(step)
        value = next((read for read in step.operands if is_key(sketch.avals[read], step)), None)
        if kind is None or value is None:
            continue
        made = sketch.avals[step.makes[0]] if step.makes else None
        found.append(Drawn(number, value, kind, name_of(step), tuple(getattr(made, "shape", ()))))
    return found


def kind_of(step: Step) -> Literal["draw", "split"] | None:
    """What an operation does with a key: nothing that counts, if it only derives another from it."""
    if step.primitive == "random_split" or (step.primitive == "jit" and step.name in ("split", "random_split")):
        return "split"
    if step.primitive in DRAWS:
        return "draw"
    calls = frames.calls(step.path)[0]
    if (
        step.primitive == "jit"
        and step.library
        and any(frames.library(f.file).startswith("jax/_src/random") for f in calls)
    ):
        return None if step.name in QUIET or "key" in step.name else "draw"
    return None


def is_key(aval: Any, step: Step) -> bool:
    """Whether a value is a key, or several."""
    dtype = getattr(aval, "dtype", None)
    if dtype is None:
        return False
    if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        return True
    return step.primitive == "jit" and str(dtype) == "uint32" and aval.shape[-1:] in ((2,), (4,))


def name_of(step: Step) -> str:
    """The function that the user called to draw."""
    for frame in frames.calls(step.path)[0]:
        if frames.library(frame.file).startswith("jax/_src/random"):
            return frame.function.split(".")[0].lstrip("_")
    return step.name


def bits(value: Any) -> Any:
    """The bits of keys, as an array of numbers."""
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(value)
    return value


def told(array: Any) -> list[int]:
    """Each key in an array of bits as one whole number."""
    rows = np.asarray(array)
    rows = rows.reshape(-1, rows.shape[-1])[:MANY] if rows.ndim else rows.reshape(1, 1)
    return [int("".join(f"{int(word):08x}" for word in row), 16) for row in rows]


__all__ = ["Drawn", "Plain", "bits", "told", "uses"]
