"""A generated program: the source of a small training, with one fault in it or none, as a person could have written it.

The same picks give the same source.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from . import loops, networks
from .draft import MARK, Draft, Pick
from .faults import FAULTS, SEQUENCES
from .layers import PADDED

T = TypeVar("T")

STARTS = {
    "vector": ("classify", "regress", "binary"),
    "image": ("classify", "regress", "binary", "segment"),
    "series": ("tag", "classify", "regress", "binary"),
    "tokens": ("next", "classify", "binary", "tag", "masked"),
    "bag": ("classify", "binary"),
}


@dataclass(frozen=True, slots=True)
class Program:
    """The source, the task it trains for, the fault in it ("" if none), and the name of what is broken in the model."""

    source: str
    task: str
    fault: str = ""
    layer: str = ""

    @property
    def marked(self) -> frozenset[int]:
        """The numbers of the lines that carry the fault."""
        return frozenset(n for n, line in enumerate(self.source.splitlines(), 1) if line.endswith(MARK))

    @property
    def numbered(self) -> str:
        """The source with line numbers."""
        return "\n".join(f"{n:3} {line}" for n, line in enumerate(self.source.splitlines(), 1))


def write(pick: Pick, fault: str = "", task: str = "") -> Program:
    """A program with this fault, or none, for this task, or any."""
    told = FAULTS.get(fault)
    pairs = [
        (start, each)
        for start, tasks in STARTS.items()
        for each in tasks
        if (not task or each == task)
        and (told is None or (each in told.tasks and (not told.starts or start in told.starts)))
        and (told is None or not told.layers or start in SEQUENCES or "gated" in told.layers and start == "vector")
    ]
    start, task = pick(pairs)
    depth = pick([1, 2, 3, 4, 5, 6] if fault != "old-input" else [2, 3, 4, 5, 6])
    at = pick(list(range(depth - 1 if fault == "old-input" else depth)))
    batch, time = pick([8, 6]), pick([6, 5, 8])
    draft = Draft(pick, fault, task, start, depth, at, batch, batch if fault == "mean-over-batch" else time)
    carried = told is None or not told.layers or any(each in PADDED for each in told.layers)
    whole = fault in ("eval", "attention-batch-first")  # needs a batch norm; breaks the mask's shape
    draft.padded = start == "tokens" and not whole and carried and draft.yes()
    draft.tied = task in ("next", "masked") and draft.yes()
    model = networks.model(draft, loops.outputs(draft))
    lines = [
        "import copy",
        "import math",
        "import smokestep",
        "import torch",
        "import torch.nn.functional as F",
        "from torch import nn",
        *model,
        *loops.training(draft),
    ]
    own = "" if told is None or told.loop else f"norm{at}" if fault == "eval" else f"layer{at}"
    return Program("\n".join(lines) + "\n", task, fault, own)


def seeded(seed: int, fault: str, number: int, task: str = "") -> Program:
    """The program of this number among those with one fault: the same on every machine."""
    draws = random.Random(f"{seed}/{fault}/{task}/{number}")

    def pick(options: Sequence[T], /) -> T:
        return options[draws.randrange(len(options))]

    return write(pick, fault, task)
