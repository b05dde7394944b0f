"""The kinds of evidence. One file is one kind: a frozen dataclass of scalars, and `gather`, the probe that fills it.

`gather(world, of)` is a class method: `world` offers the backend's verbs, and `of(Other)` gives other evidence,
gathered once and remembered by its type.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

T = TypeVar("T")


class Of(Protocol):
    """Gives the evidence of one type, gathered at most once in an examination."""

    def __call__(self, kind: type[T]) -> T: ...
