"""Objects of Keras, whatever it runs on: what a run builds is made unbuilt again; what only gathers gradients."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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
