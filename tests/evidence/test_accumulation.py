"""Accumulation: how micro-batches are weighted is read right, and the update is as wrong as the check says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.backends.recorded import record
from torch import nn

import smokestep
from smokestep.evidence.accumulation import Group, accumulated
from smokestep.evidence.gradients import follow

X, Y = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3
HALVES = tuple(zip(X.split(4), Y.split(4), strict=True))


def group(step: Callable[[], Any], steps: int = 1) -> Group:
    found = record(step, steps=steps)
    return accumulated(found.steps, follow(found.steps), found.flow, found.losses).groups[0]


def accumulating(
    loss: Callable[..., Any], after: Callable[[nn.Module], Any] = lambda model: None
) -> Callable[[], None]:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        for x, y in HALVES:
            loss(model(x), y).backward()
        after(model)
        optimizer.step()

    return step


@pytest.mark.parametrize(
    ("loss", "factor", "divisors"),
    [
        (lambda out, y: F.cross_entropy(out, y), 1.0, ()),
        (lambda out, y: F.cross_entropy(out, y) / 2, 0.5, (2.0,)),
        (lambda out, y: 0.25 * F.cross_entropy(out, y) / 2, 0.125, (2.0,)),
        (lambda out, y: F.cross_entropy(out, y).div(2).mean() + out.pow(2).mean(), 0.5, (2.0,)),
    ],
)
def test_the_weight_of_a_loss_is_the_product_of_plain_numbers(loss: Any, factor: float, divisors: Any) -> None:
    found = group(accumulating(loss))
    assert [(each.factor, each.divisors, each.count) for each in found.micros] == [(factor, divisors, 4)] * 2


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (accumulating(lambda out, y: F.cross_entropy(out, y) / torch.tensor(2.0)), "plain numbers"),
        (accumulating(lambda out, y: (out.logsumexp(1) - out[:, 0]).mean()), "not recognised"),
        (accumulating(lambda out, y: F.cross_entropy(out, y) + F.cross_entropy(-out, y)), "more than one"),
        (
            accumulating(
                lambda out, y: F.cross_entropy(out, y), lambda model: [p.grad.div_(2) for p in model.parameters()]
            ),
            "by hand",
        ),
        (
            accumulating(
                lambda out, y: F.cross_entropy(out, y),
                lambda model: torch._foreach_div_([p.grad for p in model.parameters()], 2.0),
            ),
            "by hand",
        ),
    ],
)
def test_what_is_not_certain_is_told_as_a_reason(step: Any, why: str) -> None:
    assert why in group(step).skipped


def test_one_run_over_time_is_no_accumulation() -> None:
    cell, head = nn.GRUCell(4, 4), nn.Linear(4, 3)
    both = nn.ModuleList([cell, head])
    optimizer = torch.optim.SGD(both.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        state = torch.zeros(4, 4)
        for x, y in HALVES:
            state = cell(x, state.detach())
            F.cross_entropy(head(state), y).backward()
        optimizer.step()

    assert "go on from an earlier one" in group(step).skipped


def update(
    weights: tuple[float, ...], parts: Any, kind: Any = torch.optim.SGD, *, updates: int = 1, **options: Any
) -> torch.Tensor:
    """The change of the weight that some updates make, each over these parts of the batch."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    before = model.weight.detach().clone()
    optimizer = kind(model.parameters(), lr=0.1, **options)
    for _ in range(updates):
        optimizer.zero_grad()
        for weight, (x, y) in zip(weights, parts, strict=True):
            (weight * F.cross_entropy(model(x), y)).backward()
        optimizer.step()
    return model.weight.detach() - before


def test_not_dividing_multiplies_the_update_by_the_number_of_micro_batches() -> None:
    whole = update((1.0,), [(X, Y)])
    torch.testing.assert_close(update((1.0, 1.0), HALVES), 2 * whole)
    torch.testing.assert_close(update((0.5, 0.5), HALVES), whole)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad])
def test_an_adaptive_optimizer_does_not_notice(kind: Any) -> None:
    whole = update((1.0,), [(X, Y)], kind, updates=5)
    torch.testing.assert_close(update((1.0, 1.0), HALVES, kind, updates=5), whole, rtol=1e-3, atol=1e-6)


def test_weight_decay_in_the_gradient_counts_less() -> None:
    choices: Any = {"kind": torch.optim.Adam, "updates": 5, "weight_decay": 0.5}
    assert not torch.allclose(update((1.0, 1.0), HALVES, **choices), update((1.0,), [(X, Y)], **choices), rtol=1e-3)


def test_a_mean_of_means_is_not_the_mean_where_the_counts_differ() -> None:
    parts = [(X[:7], Y[:7]), (X[7:], Y[7:])]
    whole = update((1.0,), [(X, Y)])
    assert not torch.allclose(update((0.5, 0.5), parts), whole, rtol=1e-2)
    torch.testing.assert_close(update((7 / 8, 1 / 8), parts), whole)


def test_accumulation_is_seen_in_a_loop_that_is_watched() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with smokestep.watch(select=["misscaled-accumulation"]) as watched:
        for index in range(8):
            F.cross_entropy(model(X), Y).backward()
            if index % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
    (told,) = watched.report.findings
    assert "4 times" in told.message
