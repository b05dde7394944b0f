"""Branches: what the branches of a `cond` do with its operands, read from their equations.

A branch that did not run may use what the one that ran does not, and let through what that one stops; no verdict on
such an operand may rest on the branch that ran alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Literal

from jax._src import core

from smokestep.backends.jax.equations import CALLS, floating, inner_of, jaxpr_of

How = Literal["value", "gradient", "unstopped"]


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What another branch than the one that ran does. `reads`: for every result the operands (by position) that only
    another branch makes it of; `stopped`: a `stop_gradient` in the branch that ran stops what another lets through."""

    reads: tuple[tuple[int, ...], ...]
    stopped: bool


def otherwise(branches: Sequence[Any], chosen: int) -> Otherwise:
    """Compare the branch that runs with the others."""
    avals = branches[chosen].in_avals
    values, gradients = (_each(branches, chosen, how, len(avals)) for how in ("value", "gradient"))
    unstopped = _labels(branches[chosen].jaxpr, _bits(len(avals)), "unstopped")
    reads, stopped = [], False
    for place, through in enumerate(unstopped):
        found = []
        for position, aval in enumerate(avals):
            own, others = (gradients if floating(aval) else values)[place]
            if others & ~own & 1 << position:
                if floating(aval) and through & 1 << position:
                    stopped = True
                else:
                    found.append(position)
        reads.append(tuple(found))
    return Otherwise(tuple(reads), stopped)


def _each(branches: Sequence[Any], chosen: int, how: How, count: int) -> list[tuple[int, int]]:
    """For every result the operands it depends on, as bits: in the branch that runs, and in any other."""
    labels = [_labels(branch.jaxpr, _bits(count), how) for branch in branches]
    others = [each for number, each in enumerate(labels) if number != chosen]
    return [(own, reduce(or_, (each[place] for each in others), 0)) for place, own in enumerate(labels[chosen])]


def _bits(count: int) -> list[int]:
    return [1 << position for position in range(count)]


def _labels(jaxpr: Any, given: Sequence[int], how: How) -> list[int]:
    """Of which operands every result is made (`how`: by value, by gradient, by gradient if nothing were stopped)."""
    found: dict[Any, int] = dict(zip(jaxpr.invars, given, strict=True))

    def of(atom: Any) -> int:
        return 0 if isinstance(atom, core.Literal) else found.get(atom, 0)

    for eqn in jaxpr.eqns:
        name, reads = eqn.primitive.name, [of(each) for each in eqn.invars]
        inner = inner_of(eqn.params)
        if how == "gradient" and name == "stop_gradient":
            outs = [0]
        elif name == "cond":
            each = [_labels(branch.jaxpr, reads[1:], how) for branch in eqn.params["branches"]]
            outs = [reduce(or_, column) | (reads[0] if how == "value" else 0) for column in zip(*each, strict=True)]
        elif inner is not None and (name in CALLS or name == "custom_jvp_call"):
            outs = _labels(jaxpr_of(inner), reads, how)
        else:
            outs = [reduce(or_, reads, 0)] * len(eqn.outvars)
        for var, label in zip(eqn.outvars, outs, strict=True):
            found[var] = label if how == "value" or floating(var.aval) else 0
    return [of(each) for each in jaxpr.outvars]
