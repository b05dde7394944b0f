"""Relations: what is taken for a label, what is said where nothing can be exchanged, and that all is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep.backends.torch import open_world
from smokestep.evidence.relations import Related, Relations
from smokestep.judging import _gathering
from smokestep.privacy import guard

X, Y = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


def relations(step: Callable[..., Any], *batch: Any, **choices: Any) -> Relations:
    with guard(), open_world(lambda: smokestep.Training(step, *batch, **choices), seed=0, steps=1) as world:
        found = _gathering(world, {})(Relations)
    assert not world.fingerprint_changes()
    assert isinstance(found, Relations)
    return found


def trained(loss: Callable[..., Any], model: nn.Module | None = None) -> Callable[..., Any]:
    net = model or nn.Linear(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        loss(net, batch).backward()
        optimizer.step()

    return step


def seen(loss: Callable[..., Any], batch: Any, **choices: Any) -> Related:
    (found,) = relations(trained(loss), batch, **choices).steps
    return found


class Supervised(nn.Module):
    """Takes the labels too, as models of libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.net(x), labels)


def test_a_label_reaches_a_loss_and_no_model() -> None:
    found = seen(lambda net, batch: F.cross_entropy(net(batch["x"]), batch["y"]), {"x": X, "y": Y, "id": Y + 1})
    assert (found.labels, found.count, found.paired, found.unread) == (("batch['y']",), 6, True, ())


def test_a_label_may_be_handed_to_the_model_that_takes_the_loss() -> None:
    (found,) = relations(trained(lambda net, batch: net(*batch), Supervised()), (X, Y)).steps
    assert found.labels == ("batch[1]",) and found.paired


def test_a_module_that_takes_the_loss_is_no_model() -> None:
    criterion = nn.CrossEntropyLoss()
    assert seen(lambda net, batch: criterion(net(batch[0]), batch[1]), (X, Y)).labels == ("batch[1]",)


def test_labels_that_are_all_alike_are_made_different_first() -> None:
    assert seen(lambda net, batch: F.cross_entropy(net(batch[0]), batch[1]), (X, torch.ones_like(Y))).paired
    found = seen(lambda net, batch: (net(batch[0]).mean() - batch[1].mean()) ** 2, (X, torch.ones(6)))
    assert not found.paired and found.reduced is not None and found.reduced.op == "mean"


def test_predictions_that_are_all_alike_do_not_alarm() -> None:
    """A last layer whose weight begins at zero: the loss cannot tell yet which label belongs where."""
    found = seen(lambda net, batch: F.cross_entropy(net(0 * batch[0]), batch[1]), (X, Y))
    assert not found.paired and found.reduced is None and found.linear is None


@pytest.mark.parametrize(
    ("loss", "batch", "choices", "why"),
    [
        (lambda net, x: net(x).square().mean(), X, {}, "no element of the batch"),
        (lambda net, batch: F.cross_entropy(net(batch[0]), batch[1]), (X[:1], Y[:1]), {}, "one sample"),
        (lambda net, batch: F.cross_entropy(net(batch[0]), batch[1]), (X, Y), {"batch_dim": -1}, "as declared"),
    ],
)
def test_where_nothing_can_be_exchanged_the_reason_is_told(loss: Any, batch: Any, choices: Any, why: str) -> None:
    found = relations(trained(loss), batch, **choices)
    assert why in (found.why or found.steps[0].skipped)


def test_a_step_without_a_batch_is_not_run_again() -> None:
    step = trained(lambda net, batch: F.cross_entropy(net(X), Y))
    assert "no batch" in relations(lambda: step(None)).why


def test_a_loop_that_is_watched_is_not_judged() -> None:
    step = trained(lambda net, batch: (net(X).mean() - Y.float().mean()) ** 2)
    with smokestep.watch(select=["unpaired-target"]) as watched:
        step(None)
    assert watched.report.checks["unpaired-target"].verdict.value == "notApplicable"


def test_what_weighs_an_answer_may_call_a_right_one_bad() -> None:
    def weighted(net: nn.Module, batch: Any) -> torch.Tensor:
        chosen = net(batch["x"]).log_softmax(1).gather(1, batch["y"].unsqueeze(1)).squeeze(1)
        return -(chosen * batch["w"]).mean()

    assert seen(weighted, {"x": X, "y": Y, "w": torch.linspace(-3, 1, 6)}).right == ()
    assert seen(weighted, {"x": X, "y": Y, "w": torch.tensor([1.0, 0, 1, 1, 0, 1])}).right
