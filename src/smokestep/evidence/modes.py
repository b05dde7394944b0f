"""Modes: the training flag of every module at the time it ran, and what happened to running statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

ModuleKind = Literal["batch_norm", "instance_norm", "layer_norm", "group_norm", "dropout", "root", "other"]


@dataclass(frozen=True, slots=True)
class Run:
    """One module in one mode within one step: how often it ran so. `grad`: gradient mode was on.

    `reaches_root`: something it computed reaches a backward root. `samples`: values per channel (batch norms) or per
    normalised group (layer, group and instance norms) at its last run.
    """

    step: int
    path: str
    training: bool
    grad: bool
    times: int = 1
    reaches_root: bool = True
    samples: int | None = None
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One mode-sensitive module (normalization, dropout) or root model.

    `statistics`: it keeps running statistics. `moved`: per step, whether they changed. `seen`: batches tracked before
    the first recorded step (0: the statistics are still their initial values), None if not kept.
    `affine`: names of its own parameters; `trainable`: those of them that require gradient.
    """

    path: str
    kind: ModuleKind
    class_name: str
    statistics: bool = False
    moved: tuple[bool, ...] = ()
    seen: int | None = None
    momentum: float | None = None
    probability: float | None = None  # dropout
    affine: tuple[str, ...] = ()
    trainable: tuple[str, ...] = ()
    model: str = ""
    installed: bool = False
    built: Line | None = None
    statistics_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionalDropout:
    """A dropout called as a function: `hard` means `training` was not passed, or passed as a constant True while the
    module around it was in evaluation mode; `guarded`: the call stands under an `if` that reads `training`."""

    step: int
    line: Line | None
    module: str
    passed: bool
    active: bool
    module_training: bool
    guarded: bool = False
    probability: float = 0.5


@dataclass(frozen=True, slots=True)
class Modes:
    """Modes and running statistics of the recorded steps. `switches` are the lines that called train() or eval()."""

    layers: tuple[Layer, ...]
    runs: tuple[Run, ...]
    dropouts: tuple[FunctionalDropout, ...] = ()
    switches: tuple[tuple[str, bool, Line | None], ...] = ()

    def of(self, path: str) -> tuple[Run, ...]:
        """The runs of one module."""
        return tuple(run for run in self.runs if run.path == path)

    def trained(self, path: str) -> tuple[Run, ...]:
        """The runs of one module whose result was trained on: gradient mode was on, and a backward pass reached it."""
        return tuple(run for run in self.of(path) if run.grad and run.reaches_root)

    def habit(self, path: str) -> Literal["train", "eval", "left", ""]:
        """In which mode a module was trained: "left" if it was in training mode in its first step and in none of two or
        more later ones; "train" if it was so in any other way; "" if nothing trained on it."""
        flags: dict[int, bool] = {}
        for run in self.trained(path):
            flags[run.step] = flags.get(run.step, False) or run.training
        if not flags:
            return ""
        first, *later = (flags[step] for step in sorted(flags))
        if not first and not any(later):
            return "eval"
        return "left" if first and len(later) > 1 and not any(later) else "train"

    def switch(self, path: str, training: bool) -> Line | None:
        """The line that last put a module, or one that contains it, into this mode."""
        above = {"", *(path.rsplit(".", n)[0] for n in range(path.count(".") + 1))}
        lines = [line for at, mode, line in self.switches if mode is training and at in above and line is not None]
        return lines[-1] if lines else None

    @classmethod
    def gather(cls, world: World, of: Of) -> Modes:
        """Taken from the recorded run."""
        return world.recording().modes
