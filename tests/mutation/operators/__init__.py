"""The table of mutation operators: every one of the files beside this, by name."""

from __future__ import annotations

from . import layers, loop, losses, shapes, values
from .operator import Operator

OPERATORS: dict[str, Operator] = {
    each.name: each
    for module in (values, layers, shapes, losses, loop)
    for each in vars(module).values()
    if isinstance(each, Operator)
}
