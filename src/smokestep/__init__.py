"""smokestep smoke-tests one training step before the multi-day run.

The public names, and nothing else; each is imported when it is first used, so `import smokestep` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smokestep.assertions import trains as trains
    from smokestep.assertions import untouched as untouched
    from smokestep.check import check as check
    from smokestep.config import allow as allow
    from smokestep.engine import (
        TrainingDefect as TrainingDefect,
    )
    from smokestep.engine import (
        TrainingError as TrainingError,
    )
    from smokestep.engine import (
        examine as examine,
    )
    from smokestep.engine import (
        verify as verify,
    )
    from smokestep.engine import (
        watch as watch,
    )
    from smokestep.findings import Finding as Finding
    from smokestep.findings import NotApplicable as NotApplicable
    from smokestep.findings import Open as Open
    from smokestep.report import Report as Report
    from smokestep.training import Training as Training

__version__ = "0.1.0"

_HOME = {
    "Finding": "findings",
    "NotApplicable": "findings",
    "Open": "findings",
    "Report": "report",
    "Training": "training",
    "TrainingDefect": "engine",
    "TrainingError": "engine",
    "allow": "config",
    "check": "check",
    "examine": "engine",
    "trains": "assertions",
    "untouched": "assertions",
    "verify": "engine",
    "watch": "engine",
}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'smokestep' has no attribute {name!r}")
    return getattr(import_module(f"smokestep.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
