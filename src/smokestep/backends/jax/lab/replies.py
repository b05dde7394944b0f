"""Replies: the right answer to a target, in the form that a model's output has."""

from __future__ import annotations

from typing import Any

import numpy as np

from smokestep.evidence.trials import Reply

LARGE = 8.0  # a score whose softmax leaves a few in ten thousand to the others, and no infinity
SURE = 0.98  # a share whose logarithm, and that of what is left, are finite


def right(reply: Reply, target: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """What the model would answer if it knew."""
    known = np.asarray(target)
    if reply.form == "same":
        return known.astype(dtype).reshape(shape)
    if reply.dim is None:
        hit = known.astype(np.float32).reshape(shape)
    else:
        index = np.expand_dims(known.astype(np.int64).clip(0, shape[reply.dim] - 1), reply.dim)
        hit = np.zeros(shape, np.float32)
        np.put_along_axis(hit, index, 1.0, reply.dim)
    if reply.form == "scores":
        return ((2 * hit - 1) * LARGE).astype(dtype)
    rest = (1 - SURE) / (2 if reply.dim is None else shape[reply.dim])
    return (hit * (SURE - rest) + rest).astype(dtype)
