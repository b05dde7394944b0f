"""A dry run in which the model gives the right answer: each form of it makes the loss it is made for small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep.backends.torch import open_world
from smokestep.evidence.lab import Lab
from smokestep.evidence.trials import Reply, Take
from smokestep.privacy import guard

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
CLASSES, BITS, NUMBERS = torch.arange(6) % 3, (torch.arange(6) % 2).float(), torch.linspace(-2, 2, 6)
MAPS = (torch.arange(24) % 3).reshape(6, 4)


def in_lab(model: nn.Module, loss: Callable[..., Any], target: torch.Tensor, judge: Callable[[Lab], Any]) -> Any:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        loss(model(batch[0]), batch[1]).backward()
        optimizer.step()

    with guard(), open_world(lambda: smokestep.Training(step, (X, target)), seed=0, steps=1) as world:
        world.recording()
        return judge(world.lab())


def ends(*last: nn.Module, width: int = 1) -> nn.Module:
    return nn.Sequential(nn.Linear(4, width), *last)


SQUEEZED = nn.Flatten(0, 1)


@pytest.mark.parametrize(
    ("model", "loss", "target", "form", "dim"),
    [
        (ends(width=3), F.cross_entropy, CLASSES, "scores", 1),
        (ends(nn.Softmax(1), width=3), lambda out, y: F.nll_loss(out.log(), y), CLASSES, "shares", 1),
        (ends(nn.Unflatten(1, (3, 4)), width=12), F.cross_entropy, MAPS, "scores", 1),
        (ends(), lambda out, y: F.mse_loss(out.squeeze(1), y), NUMBERS, "same", None),
        (ends(SQUEEZED), F.binary_cross_entropy_with_logits, BITS, "scores", None),
        (ends(nn.Sigmoid(), SQUEEZED), F.binary_cross_entropy, BITS, "shares", None),
    ],
)
def test_a_right_answer_is_right_for_its_own_sample_only(
    model: nn.Module, loss: Any, target: torch.Tensor, form: Any, dim: int | None
) -> None:
    reply, moved = Reply(0, "batch[1]", form, dim), Take(("batch[1]",), 0, (1, 2, 3, 4, 5, 0))

    def judge(lab: Lab) -> tuple[float, ...]:
        runs = lab.dry(), lab.dry(reply=reply), lab.dry([moved], reply=reply), lab.dry()
        assert not any(each.error for each in runs)
        assert runs[0] == runs[3], "the model answers for itself again"
        return tuple(each.losses[0] for each in runs)

    now, right, wrong, _ = in_lab(model, loss, target, judge)
    assert right < 0.03 < min(now, wrong)
