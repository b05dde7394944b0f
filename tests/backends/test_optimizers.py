"""What is recorded of optimizers that take each other's place, of spent iterators, and of loaders and schedules."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import Subset, TensorDataset

from smokestep.backends.torch import live
from smokestep.backends.torch.feeds import _order
from smokestep.backends.torch.optimizers import pace


def test_a_loop_that_makes_its_optimizer_anew_is_seen_step_by_step() -> None:
    model = nn.Linear(3, 1)
    with live(3) as watched:
        for _ in range(8):
            optimizer = torch.optim.Adam(model.parameters())
            loss = F.mse_loss(model(torch.randn(4, 3)), torch.randn(4, 1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        steps = watched.recording().steps
    assert steps.count == 3
    assert [each.updates for each in steps.optimizers] == [1, 1, 1]
    updates = [event for event in steps.events if event.kind == "update"]
    assert [(each.detail["state"], each.detail["kept"]) for each in updates] == [(False, True)] * 3
    assert sorted(each.born or 0 for each in steps.optimizers) == [each.born for each in steps.optimizers]


def test_clipping_says_which_iterator_had_nothing_left() -> None:
    model = nn.Linear(3, 1)
    trainable = filter(lambda p: p.requires_grad, model.parameters())
    never = filter(lambda p: p.requires_grad, nn.Identity().parameters())
    with live(2) as watched:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            F.mse_loss(model(torch.randn(4, 3)), torch.randn(4, 1)).backward()
            nn.utils.clip_grad_norm_(trainable, 1.0)
            nn.utils.clip_grad_norm_(never, 1.0)
            nn.utils.clip_grad_norm_(list(model.parameters()), 1.0)
            optimizer.step()
        clips = [event for event in watched.recording().steps.events if event.kind == "clip"]
    assert [each.detail.get("exhausted") for each in clips] == [None, None, None, "trainable", None, None]


def test_after_how_many_calls_a_rate_is_spent() -> None:
    def spent(make) -> int | None:
        return pace(make(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1))).get("spent")

    assert spent(lambda o: lr_scheduler.ExponentialLR(o, 0.95)) == 135
    assert spent(lambda o: lr_scheduler.StepLR(o, 30, 0.1)) == 90
    assert spent(lambda o: lr_scheduler.MultiStepLR(o, [30, 60, 90], 0.1)) == 90
    assert spent(lambda o: lr_scheduler.MultiStepLR(o, [30, 60], 0.1)) is None
    assert spent(lambda o: lr_scheduler.ExponentialLR(o, 1.0)) is None
    assert spent(lambda o: lr_scheduler.CosineAnnealingLR(o, 10)) is None


def test_labels_that_ascend() -> None:
    data = TensorDataset(torch.randn(12, 2), torch.arange(12) // 4)
    assert _order(data) == (3, 4)
    assert _order(Subset(data, [0, 5, 9])) == (3, 1)
    assert _order(Subset(data, [9, 0])) == (None, 0)
    assert _order(TensorDataset(torch.randn(12, 2), torch.rand(12))) == (None, 0)
    assert _order(TensorDataset(torch.randn(12, 2))) == (None, 0)
