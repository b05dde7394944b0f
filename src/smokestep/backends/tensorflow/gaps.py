"""Gaps: the checks that have no sense in TensorFlow, or cannot be judged yet, and what is called otherwise there."""

from __future__ import annotations

from collections.abc import Mapping

from smokestep.findings import NotApplicable, Open

_VALUES = NotApplicable("gradients are values of a tape: nothing keeps them from one step to the next")

GAPS: Mapping[str, Open | NotApplicable] = {
    "stale-gradients": _VALUES,
    "cleared-gradients": _VALUES,
}

WORDS: tuple[tuple[str, str], ...] = (
    ("`detach`", "`tf.stop_gradient`"),
    ("gradient is turned off", "no tape records it"),
)
