"""Why a mutant survives: a reason for one training and operator, else the reason for the operator."""

from __future__ import annotations

from .mutants import Mutant

OF_OPERATORS: dict[str, str] = {}
OF_MUTANTS: dict[tuple[str, str], str] = {}
UNKNOWN = "not looked at yet"


def reason(mutant: Mutant) -> str:
    """The reason, or that nobody has looked yet."""
    return OF_MUTANTS.get((mutant.operator, mutant.entry)) or OF_OPERATORS.get(mutant.operator, UNKNOWN)
