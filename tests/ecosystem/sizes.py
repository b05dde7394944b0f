"""What the table of sizes does not know: configurations whose parts must fit together in their own way.

`RECIPES` are tried in turn for every model; `CHANGES` and `INNER` are for one model type, the latter for its parts.
"""

from __future__ import annotations

from typing import Any

RECIPES: tuple[dict[str, Any], ...] = ({}, {"num_key_value_heads": 4}, {"num_hidden_layers": 4})
CHANGES: dict[str, dict[str, Any]] = {}
INNER: dict[str, dict[str, dict[str, Any]]] = {}
