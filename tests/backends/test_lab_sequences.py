"""The lab on sequences: entries and attributes read, and runs of different length laid side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep import privacy
from smokestep.backends.torch import open_world
from smokestep.evidence.padding import cut_of
from smokestep.evidence.trials import Take


class Net(nn.Module):
    """Embeds six tokens, puts one before them, mixes and pools as told."""

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.embed, self.first = nn.Embedding(9, 4, padding_idx=0), nn.Parameter(torch.randn(1, 1, 4))
        self.out, self.pool = nn.Linear(4, 2), pool

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.first.expand(len(ids), -1, -1), self.embed(ids)], 1)
        flat = self.out(x.reshape(-1, 4)).view(len(ids), -1, 2)
        return self.pool(flat)  # type: ignore[no-any-return]


@contextmanager
def lab(pool: Any) -> Iterator[Any]:
    def training() -> smokestep.Training:
        model = Net(pool)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step(batch: Any) -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(batch["ids"]), batch["y"]).backward()
            optimizer.step()

        return smokestep.Training(step, {"ids": torch.arange(24).view(4, 6) % 8 + 1, "y": torch.arange(4) % 2})

    with privacy.guard(), open_world(training, seed=0, steps=1) as world:
        yield world.lab()


def test_entries_are_read_edited_and_by_name() -> None:
    with lab(lambda x: x[:, 0]) as found:
        assert found.entries("ids", [Take(("ids",), 0, (1,))], trial=0) == (7, 8, 1, 2, 3, 4)
        assert found.entries("batch['y']") == (0, 1, 0, 1)
        assert found.entries("nothing", trial=0) == ()


def test_attributes_are_read_by_module() -> None:
    with lab(lambda x: x[:, 0]) as found:
        assert found.attributes(0, "padding_idx") == (("embed", 0.0),)
        assert found.attributes(0, "no_such_name") == ()


@pytest.mark.parametrize(
    ("pool", "op"),
    [
        (lambda x: x[:, 0], None),
        (lambda x: x[:, -1], "__getitem__"),
        (lambda x: x.mean(1), "mean"),
        (lambda x: (x - x.softmax(1))[:, 0], "softmax"),
    ],
)
def test_a_longer_run_is_compared_where_both_have_entries(pool: Any, op: str | None) -> None:
    """The class token in front and the flattened rows are laid side by side too."""
    with lab(pool) as found:
        touches = found.beside(0, [Take(("ids",), 1, (0, 1, 2))], [], size=6, kept=(0, 1, 2), by=1e4)
    cut = cut_of(touches)
    assert (cut.op if cut else None) == op
