"""smokestep smoke-tests one training step before the multi-day run.

The public names, and nothing else; each is imported when it is first used, so `import smokestep` stays light.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False  # type checkers take it for True; importing `typing` would cost more than all the rest
if TYPE_CHECKING:
    from smokestep.assertions import trains, untouched
    from smokestep.check import check
    from smokestep.config import allow
    from smokestep.engine import TrainingDefect, TrainingError, examine, verify, watch
    from smokestep.findings import Finding, NotApplicable, Open
    from smokestep.report import Report
    from smokestep.training import Training

__version__ = "0.1.0"
__all__ = [
    "Finding",
    "NotApplicable",
    "Open",
    "Report",
    "Training",
    "TrainingDefect",
    "TrainingError",
    "allow",
    "check",
    "examine",
    "trains",
    "untouched",
    "verify",
    "watch",
]

_HOMES = {
    "TrainingDefect": "engine",
    "TrainingError": "engine",
    "NotApplicable": "findings",
    "Finding": "findings",
    "Open": "findings",
    "allow": "config",
    "examine": "engine",
    "trains": "assertions",
    "untouched": "assertions",
    "verify": "engine",
    "watch": "engine",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'smokestep' has no attribute {name!r}")
    return getattr(import_module(f"smokestep.{_HOMES.get(name, name.lower())}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]


class _Package(type(sys)):  # type: ignore[misc]
    """Keeps `smokestep.check` the decorator, although Python binds the module of that name when it is imported."""

    @property
    def check(self) -> object:
        return import_module("smokestep.check").check

    @check.setter
    def check(self, module: object) -> None: ...


sys.modules[__name__].__class__ = _Package
