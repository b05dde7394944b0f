"""Optimizers: what is told of each: what it holds, how fast it moves that, and what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smokestep.backends.jax.settings import settings
from smokestep.evidence.steps import Group, Movement, Optimizer


def evidence(assembly: Any, movements: Sequence[Movement]) -> tuple[Optimizer, ...]:
    """Each optimizer that holds parameters or has a state in sight."""
    found = []
    for held in assembly.held:
        names = tuple(assembly.names.parameters[path] for path in held.holds if path in assembly.names.parameters)
        if not names and held.top is None:
            continue
        own = [move for move in movements if move.parameter in names and move.rate is not None]
        rates = tuple(
            max(move.rate or 0.0 for move in own if move.step == step) for step in sorted({move.step for move in own})
        )
        told = settings(assembly, held)
        lines = [update.line for each in held.updates.values() for update in each]
        keeps = held.kind != "SGD" or any(
            leaf.top == held.top and "TraceState" in leaf.within for leaf in assembly.leaves.values() if held.top
        )
        found.append(
            Optimizer(
                name=held.name,
                kind=held.kind,
                groups=(Group(names, rates, momentum=keeps, betas=told.betas, epsilon=told.epsilon),),
                line=lines[0] if len(set(lines)) == 1 else None,  # which of several made it is not known
                updates=sum(len([u for u in each if u.applied]) for each in held.updates.values()),
            )
        )
    return tuple(found)
