"""Optimizers: what is told of each: the settings that decide how it moves, and what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smokestep.backends.tensorflow import frames
from smokestep.evidence.steps import Group, Parameter
from smokestep.evidence.steps import Optimizer as OptimizerEvidence


def rate_of(optimizer: Any) -> float | None:
    """The learning rate of the update that comes."""
    try:
        return float(np.asarray(optimizer.learning_rate))
    except Exception:
        return None


def remembers(optimizer: Any) -> bool:
    """Whether an optimizer keeps something of earlier gradients."""
    return bool(
        getattr(optimizer, "momentum", 0) or hasattr(optimizer, "beta_1") or hasattr(optimizer, "rho")
    ) or not type(optimizer).__name__.startswith("SGD")


def evidence(assembly: Any, parameters: Sequence[Parameter]) -> tuple[OptimizerEvidence, ...]:
    """Each optimizer that updated something or was given to the training, in the order in which they were met."""
    recorder = assembly.recorder
    known = {each.name for each in parameters}
    found = []
    for key, optimizer in recorder.optimizers.items():
        held = recorder.held.get(key, {})
        if key not in assembly.optimizer_names:
            continue
        names = tuple(name for place in held.values() if (name := assembly.name(place)) in known)
        rates = tuple(
            rate
            for event in recorder.events
            if event.kind == "update" and event.subject is optimizer
            for rate in event.detail.get("rates", ())
            if rate is not None
        )
        betas = tuple(
            float(value)
            for key_ in ("beta_1", "beta_2")
            if isinstance(value := getattr(optimizer, key_, None), (int, float))
        )
        found.append(
            OptimizerEvidence(
                name=assembly.optimizer_names[key],
                kind=type(optimizer).__name__,
                groups=(
                    Group(
                        names,
                        rates,
                        float(getattr(optimizer, "weight_decay", None) or 0.0),
                        bool(getattr(optimizer, "momentum", 0) or betas),
                        False,
                        betas=betas,
                        epsilon=_epsilon(optimizer),
                    ),
                ),
                line=frames.line_of(recorder.built.get(key, (None, None))[1]),
                updates=recorder.updates.get(key, 0),
                born=recorder.born.get(key),
            )
        )
    return tuple(found)


def _epsilon(optimizer: Any) -> float | None:
    given = getattr(optimizer, "epsilon", None)
    return float(given) if isinstance(given, (int, float)) else None
