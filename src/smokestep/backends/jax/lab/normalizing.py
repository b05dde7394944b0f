"""Normalizing: whether a model that ran again takes its mean and spread over the samples, by hand or by a layer."""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.backends.jax.groups import Group
from smokestep.backends.jax.lab.rerun import Heard


def groups(heard: Heard | None) -> Iterator[tuple[int, Group]]:
    """The operations of the model, each with its place among all."""
    for at in heard.model.inside if heard is not None else ():
        assert heard is not None
        group = heard.body.groups[at]
        if isinstance(group, Group):
            yield at, group


def normalizes(heard: Heard) -> bool:
    """Whether the model takes mean and spread over its samples by hand: statistics, of training perhaps."""
    rows = {heard.body.sketch.avals[n].shape[0] for n in heard.model.inputs if heard.body.sketch.avals[n].shape}
    means: set[int] = set()
    for _, group in groups(heard):
        shapes = [heard.body.sketch.avals[n].shape for n in group.reads]
        dims = group.args.get("dim")
        over = dims == 0 or (isinstance(dims, tuple) and 0 in dims)
        if group.name == "batch_norm":
            if "batch statistics" in group.args:
                return True
            continue
        if group.name in ("var", "std") and over and any(s and s[0] in rows for s in shapes):
            return True
        if group.name in ("mean", "sum") and over and any(s and s[0] in rows for s in shapes):
            means.update(group.makes)
        elif not means.isdisjoint(group.reads):
            if group.name in ("rsqrt", "sqrt"):
                return True
            means.update(m for m in group.makes)
    return False
