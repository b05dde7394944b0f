"""Living: the objects of some classes that exist in the process, found in one walk over all that the collector knows.

There are hundreds of thousands of them: the classes are gathered first, and what is asked of each object is asked in C.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable
from itertools import compress
from typing import Any


def with_subclasses(kinds: Iterable[type]) -> set[type]:
    """These classes, and all that are made from them."""
    found, open_ = set[type](), list(kinds)
    while open_:
        if (kind := open_.pop()) not in found:
            found.add(kind)
            open_ += type.__subclasses__(kind)
    return found


def objects(classes: Collection[type]) -> list[Any]:
    """Every object whose class is one of these, subclasses not included."""
    every = gc.get_objects()
    return list(compress(every, map(frozenset(classes).__contains__, map(type, every))))
