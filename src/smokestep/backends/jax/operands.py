"""Operands: what the operations of a differentiated function read, in the order that the evidence knows them in.

Rows picked from a table of parameters by whole numbers are an embedding, however that is written: what is embedded
comes first, the table second. A loss that chooses classes reads its scores first.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp

from smokestep.backends.jax.groups import Group
from smokestep.backends.jax.sketch import Sketch, Step

PICKS = frozenset("__getitem__ gather index_select embedding".split())
SAME = frozenset("to clone identity".split())  # what leaves a table as it is


def ordered(groups: Sequence[Group | Step], sketch: Sketch, parameters: Sequence[int]) -> None:
    """Put the operands of embeddings and losses in order, and give embeddings their name."""
    tables = {each for each in parameters if len(sketch.avals[each].shape) == 2}
    for each in groups:
        if not isinstance(each, Group):
            continue
        whole = [read for read in each.reads if jnp.issubdtype(sketch.avals[read].dtype, jnp.integer)]
        if each.name in SAME and len(each.reads) == 1 and each.reads[0] in tables:
            tables.update(each.makes)
        elif each.name in PICKS and each.makes and len(whole) == 1:
            table = [read for read in each.reads if read in tables]
            picked = sketch.avals[whole[0]].shape
            rows = [sketch.avals[read].shape[1:] for read in table]
            if len(table) == 1 and sketch.avals[each.makes[0]].shape == (*picked, *rows[0]):
                each.name, each.reads = "embedding", (whole[0], table[0])
        elif each.name == "cross_entropy" and len(whole) == 1:
            each.reads = (*(read for read in each.reads if read != whole[0]), whole[0])
