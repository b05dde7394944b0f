"""The zoo's register: an entry is a function without arguments that builds one correct training.

An entry with a true fault in it is a bug of the entry. A suspicion that an entry may raise is declared with the
reason why it is true or tolerable; a defect cannot be declared.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One healthy training. `still`: why nothing moves within the recorded steps, "" if something must."""

    name: str
    build: Callable[[], Any]
    suspicions: Mapping[str, str] = field(default_factory=dict)
    steps: int = 3
    still: str = ""


_REGISTERED: dict[str, Entry] = {}


def healthy(
    *, suspicions: Mapping[str, str] | None = None, steps: int = 3, still: str = ""
) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register the decorated function as an entry; raises `ValueError` for a name given twice."""

    def register(build: Callable[[], Any]) -> Callable[[], Any]:
        name = build.__name__
        if name in _REGISTERED:
            raise ValueError(f"two zoo entries are called {name!r}: rename one")
        _REGISTERED[name] = Entry(name, build, dict(suspicions or {}), steps, still)
        return build

    return register


def entries() -> tuple[Entry, ...]:
    """Every entry of every file in `entries/`, in order of name."""
    from . import entries as folder

    for module in pkgutil.iter_modules(folder.__path__):
        import_module(f"{folder.__name__}.{module.name}")
    return tuple(_REGISTERED[name] for name in sorted(_REGISTERED))
