"""Switching: which layers `train()` and `eval()` of a model reach, and what its classes make of these two methods.

Asked of the model itself: it is switched, made to run its recorded call, and looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from smokestep.evidence.trials import Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Unreached:
    """A layer that ran, that behaves by its mode, and that is in training mode after the model's `eval()`.

    `kind`: dropout · normalization · own (its forward reads `self.training`). `holder`: what hides it from `eval()`
    ("list", "tuple", "dict", "attribute"), with the line that fills it. `plain`: it, or one of several beside it, is
    such a layer itself; else it lies within a network that may be hidden on purpose.
    """

    name: str
    class_name: str
    kind: Literal["dropout", "normalization", "own"]
    holder: str
    plain: bool
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """A class's own `train` or `eval`, by its `def` line.

    `other`: its parameters say that it does something else than switch modes (it was not called then). `returns`: it
    gives the module back, as PyTorch's does. `stuck`: layers that stay in training mode after `eval()`; `lost`: layers
    that stay in evaluation mode after `train()`, though their network trains.
    """

    class_name: str
    method: str
    line: Line | None
    other: bool = False
    returns: bool = True
    stuck: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Switched:
    """What was seen of one model. `skipped` is the reason why nothing could be."""

    model: str
    unreached: tuple[Unreached, ...] = ()
    overrides: tuple[Override, ...] = ()
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Switching:
    """What was seen of every model, in order of their first call."""

    experiment: ClassVar[str] = "train() and eval() called, and one call made to see which layers they reach"
    models: tuple[Switched, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Switching:
        """By switching each model, and by one call of those that hide layers."""
        lab = world.lab()
        return cls(tuple(lab.modes(trial.index) for trial in of(Trials).of_models()))
