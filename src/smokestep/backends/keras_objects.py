"""Objects of Keras, whatever it runs on: what a run builds is made unbuilt again; what only gathers gradients."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from smokestep.evidence.modes import ModuleKind

NORMS: Mapping[str, ModuleKind] = {
    "BatchNormalization": "batch_norm",
    "SyncBatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "GroupNormalization": "group_norm",
    "RMSNormalization": "layer_norm",
}
DROPOUTS = frozenset("Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout".split())


def kind_by_class(kind: type) -> ModuleKind | None:
    """What sort of mode-sensitive layer of Keras a class is, None for others."""
    for each in kind.__mro__:
        if each.__name__ in NORMS and each.__module__.startswith("keras"):
            return NORMS[each.__name__]
        if each.__name__ in DROPOUTS and each.__module__.startswith("keras"):
            return "dropout"
    return None


def rate_of(layer: Any) -> float:
    """The share of what it is given that a layer of Keras drops in training; 0 for one that drops nothing."""
    rate = getattr(layer, "rate", None) if kind_by_class(type(layer)) == "dropout" else None
    return float(rate) if isinstance(rate, (int, float)) else 0.0


def samples_by_axis(layer: Any, kind: str, shape: Sequence[int]) -> int | None:
    """How many values one mean of a normalization of Keras is taken over, which says where its features are."""
    axes = getattr(layer, "axis", -1)
    own = {each % len(shape) for each in ([axes] if isinstance(axes, int) else axes)} if shape else set()
    if kind == "batch_norm":
        return prod(size for i, size in enumerate(shape) if i not in own)
    if kind == "group_norm":
        return prod(shape[1:]) // max(1, int(getattr(layer, "groups", 1)))
    return prod(size for i, size in enumerate(shape) if i in own) if kind == "layer_norm" else None


def put_back(thing: Any) -> Callable[[], None]:
    """Puts back the attributes of what is not built yet, and what its own containers hold: then it is so again."""
    owned = vars(thing)
    kept = dict(owned)
    held = [(value, list(value)) for value in owned.values() if isinstance(value, list)]
    named = [(value, dict(value)) for value in owned.values() if isinstance(value, dict)]
    tracker = owned.get("_tracker")
    ids = {key: set(each) for key, each in tracker.stored_ids.items()} if tracker is not None else {}
    locked = getattr(tracker, "locked", False)

    def put() -> None:
        if owned == kept and not getattr(thing, "built", False):
            return
        owned.clear()
        owned.update(kept)
        for value, before in held:
            for plain in (value, getattr(value, "_storage", None)):  # what TensorFlow wraps for its checkpoints
                if isinstance(plain, list):
                    list.__setitem__(plain, slice(None), before)
        for value, before in named:
            plain = getattr(value, "__wrapped__", value)
            dict.clear(plain)
            dict.update(plain, before)
        if tracker is not None:
            tracker.stored_ids.update(ids)
            tracker.locked = locked

    return put


def gathers(optimizer: Any) -> bool:
    """Whether this call of an optimizer only adds the gradients to those of a later update."""
    every = getattr(optimizer, "gradient_accumulation_steps", None)
    return bool(every) and (int(optimizer.iterations) + 1) % int(every) != 0


@contextmanager
def own_names() -> Iterator[None]:
    """Layers are numbered from the beginning, as in a process of the training's own."""
    if "keras" not in sys.modules:
        yield
        return
    from keras.src.backend.common import global_state

    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", before)
