"""Gaps: the checks that a framework's backend cannot judge, each with the verdict it gets and the reason.

`Open`: the fault exists there and is not seen yet. `NotApplicable`: what the check is about does not exist there. The
table in the documentation is made of this one, and a test holds that no check passes where it has a gap.
"""

from __future__ import annotations

from collections.abc import Mapping

from smokestep.findings import NotApplicable, Open

JAX: Mapping[str, Open | NotApplicable] = {}

_TAPE = NotApplicable("gradients are what a tape gives: nothing keeps them from one step to the next")

TENSORFLOW: Mapping[str, Open | NotApplicable] = {
    "stale-gradients": _TAPE,
    "cleared-gradients": _TAPE,
}
