"""Answers: what the recognised losses of one differentiated function compare, and from what each prediction was cut.

A prediction is followed back, through what cuts, turns or scales it, to the values it was before, the earliest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from smokestep.backends.jax.groups import Group
from smokestep.backends.jax.probe import Body

CLASSED = "cross_entropy"
FOLLOWED = frozenset(
    "__getitem__ narrow select reshape view squeeze unsqueeze flatten permute transpose swapaxes moveaxis to clone "
    "identity log_softmax tanh mul div as_tensor split astype ravel".split()
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One loss, by numbers of the sketch. `chain`: what its prediction was, the earliest first, itself last."""

    name: str
    result: int
    prediction: int
    target: int
    chain: tuple[int, ...]


def compared(body: Body) -> list[Compared | None]:
    """What each recognised loss compares, in order; None for one that has no target of the form of its prediction."""
    makers = {made: each for each in body.groups if isinstance(each, Group) for made in each.makes}
    losses = (each for each in body.groups if isinstance(each, Group) and each.kind == "loss" and each.makes)
    return [_compared(each, body, makers) for each in losses]


def _compared(loss: Group, body: Body, makers: dict[int, Group]) -> Compared | None:
    avals = body.sketch.avals
    scores = [each for each in loss.reads if body.requires[each]]
    if len(scores) != 1:
        return None
    (prediction,) = scores
    shape = avals[prediction].shape
    classed = shape[:-1] if loss.name == CLASSED else shape
    targets = [
        each
        for each in loss.reads
        if each != prediction and (avals[each].shape == shape or (avals[each].shape == classed and _whole(avals[each])))
    ]
    if len(targets) != 1 or not shape:
        return None
    chain = [prediction]
    while (maker := makers.get(chain[0])) is not None and maker.name in FOLLOWED and maker.kind != "loss":
        moving = [each for each in maker.reads if body.requires[each]]
        if len(moving) != 1 or not avals[moving[0]].shape:
            break
        chain.insert(0, moving[0])
    return Compared(loss.name, loss.makes[0], prediction, targets[0], tuple(chain))


def _whole(aval: Any) -> bool:
    return bool(jnp.issubdtype(aval.dtype, jnp.integer))


def numbers(body: Body, *, targets: bool) -> Iterator[int]:
    """The values that are needed to know the rows of every loss again, and its targets."""
    for each in compared(body):
        if each is not None:
            yield from (*each.chain, each.target) if targets else each.chain


def felt(body: Body, given: Any, roots: Callable[[Any], list[Any]]) -> dict[int, Any]:
    """The gradient of the results with respect to each prediction: where it is zero, an entry does not count."""
    known = {each.prediction for each in compared(body) if each is not None}

    def total(taps: dict[int, Any]) -> Any:
        env = body.sketch.run(given, lambda number, value: value + taps[number] if number in taps else value)
        found = [each for each in roots(env) if jnp.issubdtype(jnp.asarray(each).dtype, jnp.floating)]
        return sum(jnp.sum(each).astype(jnp.float32) for each in found)

    return jax.grad(total)({each: jnp.zeros(*_type(body.sketch.avals[each])) for each in known}) if known else {}


def _type(aval: Any) -> tuple[Any, Any]:
    return aval.shape, aval.dtype
