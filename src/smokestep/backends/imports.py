"""Imports: hears when the user's code has imported a module, and imports nothing by itself."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def once_imported(name: str, then: Callable[[], None]) -> Iterator[None]:
    """Call a function when the user's code has imported a module."""
    finder = _Finder(name, then)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


class _Finder:
    """Gives the ordinary spec of one module, with a loader that tells when it is done."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self.name, self.then = name, then

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec of the module that is waited for; None for every other."""
        if name != self.name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = spec.loader if spec else None
        if loader is None:
            return None
        plain = loader.exec_module

        def exec_module(module: Any) -> None:
            plain(module)
            self.then()

        loader.exec_module = exec_module
        return spec
