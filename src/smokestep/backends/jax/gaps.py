"""Gaps: what is not judged for JAX, with the reason, and the words in which findings are told there."""

from __future__ import annotations

from smokestep.findings import NotApplicable, Open

GAPS: dict[str, Open | NotApplicable] = {}
WORDS: tuple[tuple[str, str], ...] = (
    ("`detach`", "`stop_gradient`"),
    ("torch.where", "jnp.where"),
)
