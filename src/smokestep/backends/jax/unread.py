"""Unread: which checks cannot judge a training as a setting was not read off it, so that none passes for want of it."""

from __future__ import annotations

from typing import Any

from smokestep.backends.jax.settings import settings
from smokestep.evidence.modes import Modes
from smokestep.findings import Open

ADAM = frozenset({"Adam", "AdamW", "NAdam", "RAdam"})
ROOTS = frozenset({*ADAM, "RMSprop", "Adagrad", "AdaBelief", "AMSGrad"})  # divide by a root to which they add
MOMENTUM = Open("the momentum of running statistics could not be read off what a normalization computed")
UNREAD = Open("the settings of an optimizer could not be read off what it computed")


def unread(assembly: Any, modes: Modes) -> dict[str, Open]:
    """The checks that cannot judge this training, as a setting of an optimizer or a normalization was not read."""
    found: dict[str, Open] = {}
    kinds = {name: str(assembly.leaves[path].value.dtype) for path, name in assembly.names.parameters.items()}
    for held in assembly.held:
        if not any(held.updates.values()):
            continue
        read = settings(assembly, held)
        if held.kind in ADAM and not read.betas:
            found["swapped-betas"] = UNREAD
        half = any(kinds.get(assembly.names.parameters.get(path, "")) == "float16" for path in held.holds)
        if half and held.kind in ROOTS and not read.roots:
            found["half-epsilon"] = UNREAD
    norms = [each for each in modes.layers if each.statistics and each.momentum is None]
    if any(run.training for each in norms for run in modes.trained(each.path)):
        found["reversed-momentum"] = MOMENTUM
    return found
