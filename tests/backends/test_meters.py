"""Movements: what happens to every parameter in every step, as numbers that are exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.backends.recorded import parameter, record
from torch import nn

from smokestep.evidence.steps import Movement
from smokestep.world import Recording

Body = Callable[[nn.Parameter, torch.optim.Optimizer, int], Any]


def moved(
    body: Body, *, start: torch.Tensor | None = None, steps: int = 2, make: Any = torch.optim.SGD, **options: Any
) -> list[Movement]:
    """The movements of a parameter `w` over steps of `body(w, optimizer, step)`."""
    return list(recorded(body, start=start, steps=steps, make=make, **options).steps.moves("w"))


def recorded(
    body: Body, *, start: torch.Tensor | None = None, steps: int = 2, make: Any = torch.optim.SGD, **options: Any
) -> Recording:
    model, count = nn.Module(), iter(range(100))
    model.w = parameter(3) if start is None else nn.Parameter(start.clone())
    optimizer = make(model.parameters(), **{"lr": 0.5, **options})
    return record(lambda: body(model.w, optimizer, next(count)), steps=steps, model=model)


def ordinary(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
    optimizer.zero_grad()
    (w * torch.tensor([1.0, -4.0, 2.0])).sum().backward()
    optimizer.step()


def test_the_gradient_is_the_largest_absolute_entry() -> None:
    assert [each.gradient for each in moved(ordinary)] == [4.0, 4.0]


def test_the_update_is_the_largest_distance() -> None:
    assert [each.update for each in moved(ordinary, start=torch.zeros(3))] == [2.0, 2.0]


def test_the_scale_is_that_before_the_first_step() -> None:
    assert moved(ordinary, start=torch.tensor([1.0, -3.0, 2.0]))[0].scale == 3.0


def test_the_rate_is_that_of_the_update() -> None:
    def decaying(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        ordinary(w, optimizer, step)
        optimizer.param_groups[0]["lr"] /= 2

    assert [each.rate for each in moved(decaying)] == [0.5, 0.25]


def test_a_step_without_an_update_has_no_rate_and_no_gradient() -> None:
    def alternating(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        if step % 2 == 0:
            ordinary(w, optimizer, step)

    first, second = moved(alternating)
    assert (second.rate, second.gradient, second.received, second.update) == (None, None, None, 0.0)
    assert first.gradient == 4.0


def test_one_bit_is_an_update() -> None:
    def nudged(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        with torch.no_grad():
            w.copy_(torch.nextafter(w, torch.full_like(w, 9.0)))

    assert all(each.update > 0 for each in moved(nudged, start=torch.tensor([1e-30, 1.0, 3e30])))


def test_no_bit_is_none() -> None:
    assert [each.update for each in moved(ordinary, lr=0.0)] == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
def test_every_float_is_compared(dtype: torch.dtype) -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        (w * 2).abs().sum().backward()
        optimizer.step()

    first = moved(body, start=torch.ones(3, dtype=dtype))[0]
    assert first.gradient == 2.0 and first.update == 1.0


def test_a_rounded_update_is_exactly_zero() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()

    assert [each.update for each in moved(body, start=torch.full((3,), 256.0, dtype=torch.bfloat16), lr=0.1)] == [0, 0]


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_every_size_is_compared(size: int) -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        (w * 3).sum().backward()
        optimizer.step()

    assert moved(body, start=torch.zeros(size))[0].update == (1.5 if size else 0.0)


def test_only_the_last_entry_of_a_large_tensor_moves() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        w[-1].backward()
        optimizer.step()

    assert moved(body, start=torch.zeros(600_001))[0].update == 0.5


def test_a_transposed_parameter_is_compared() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        w[0, 1].backward()
        optimizer.step()

    assert moved(body, start=torch.zeros(3, 2).t())[0].update == 0.5


def test_a_gradient_that_is_no_number_is_none() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        (w * torch.tensor([1.0, float("nan"), 2.0])).sum().backward()
        optimizer.step()

    gradient = moved(body, steps=1)[0].gradient
    assert gradient is not None and gradient != gradient


def test_an_infinite_gradient_is_infinite() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        (w * torch.tensor([1.0, float("-inf"), 2.0])).sum().backward()

    assert moved(body, steps=1)[0].received == float("inf")


def test_a_gradient_of_exact_zero_is_received() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        (w * 0).sum().backward()
        optimizer.step()

    assert moved(body, steps=1)[0].received == 0.0


def test_a_sparse_gradient_is_measured() -> None:
    model = nn.Embedding(10, 2, sparse=True)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.5)

    def step() -> None:
        optimizer.zero_grad()
        (model(torch.tensor([1, 1, 4])) * 3).sum().backward()
        optimizer.step()

    assert record(step).steps.moves("weight")[0].gradient == 6.0


def test_what_is_left_of_an_earlier_step_is_carried() -> None:
    def never_cleared(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        w.sum().backward()
        optimizer.step()

    assert [each.carried for each in moved(never_cleared, steps=3)] == [None, 1.0, 2.0]


@pytest.mark.parametrize(
    "clear",
    [
        lambda w, optimizer: optimizer.zero_grad(),
        lambda w, optimizer: optimizer.zero_grad(set_to_none=False),
        lambda w, optimizer: setattr(w, "grad", None),
        lambda w, optimizer: w.grad.zero_() if w.grad is not None else None,
        lambda w, optimizer: w.grad.data.zero_() if w.grad is not None else None,
        lambda w, optimizer: w.grad.detach_().zero_() if w.grad is not None else None,
    ],
    ids=["none", "zero", "by hand", "zeroed", "zeroed data", "detached"],
)
def test_what_is_cleared_is_not_carried(clear: Any) -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        clear(w, optimizer)
        w.sum().backward()
        optimizer.step()

    assert [each.carried for each in moved(body, steps=3)] == [None, None, None]


def test_accumulating_before_an_update_carries_nothing() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        for _ in range(3):
            w.sum().backward()
        optimizer.step()

    first, second = moved(body)
    assert (first.carried, second.carried, second.gradient) == (None, None, 3.0)


def test_clipping_changes_the_gradient_of_the_update() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.zero_grad()
        (w * 8).sum().backward()
        nn.utils.clip_grad_value_([w], 2.0)
        optimizer.step()

    assert moved(body)[0].gradient == 2.0


def test_a_closure_is_measured_after_it_has_run() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = (w**2).sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    found = recorded(body, make=torch.optim.LBFGS, max_iter=2, start=torch.ones(3))
    update = found.steps.of("update")[0]
    assert update.detail["closure"] and update.detail["closure_backwards"] >= 1
    assert found.steps.moves("w")[0].gradient is not None and len(found.steps.of("backward")) >= 2


def test_a_weight_that_is_perturbed_and_restored_has_one_movement() -> None:
    def body(w: nn.Parameter, optimizer: torch.optim.Optimizer, step: int) -> None:
        (w**2).sum().backward()
        with torch.no_grad():
            w.add_(w.grad, alpha=0.125)
        perturbation = w.grad.clone()
        optimizer.zero_grad()
        (w**2).sum().backward()
        with torch.no_grad():
            w.sub_(perturbation, alpha=0.125)
        optimizer.step()
        optimizer.zero_grad()

    first = moved(body, start=torch.ones(3))[0]
    assert (first.gradient, first.update) == (2.5, 1.25)


def test_a_frozen_parameter_is_told_as_such() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    found = record(lambda x: model(x).sum().backward(), torch.ones(1, 2)).steps
    assert [each.requires_grad for each in found.moves("0.weight")] == [False]
    assert [each.requires_grad for each in found.moves("1.weight")] == [True]


def test_a_module_that_ran_was_called() -> None:
    model = nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)])
    found = record(lambda x: model[0](x).sum().backward(), torch.ones(1, 2), model=model).steps
    assert [found.moves(f"{i}.weight")[0].called for i in range(2)] == [True, False]


def test_a_loss_is_the_number_the_step_returns() -> None:
    w = parameter(3)

    def step() -> torch.Tensor:
        loss = (w * 0 + 7).mean()
        loss.backward()
        kept = loss.detach()
        kept += 1  # in place, after it was measured
        return loss

    assert record(step).steps.losses == (8.0,)


def test_a_loss_that_is_not_returned_is_that_of_the_last_backward() -> None:
    w = parameter(3)

    def step() -> None:
        loss = (w * 0 + 7).mean()
        loss.backward()
        loss.detach().add_(1)

    assert record(step).steps.losses == (7.0,)


def test_a_loss_call_keeps_its_own_value() -> None:
    w = parameter(3)

    def step() -> None:
        loss = nn.functional.mse_loss(w * 0, torch.ones(3))
        loss += 5
        loss.backward()

    assert record(step).losses.calls[0].loss == 1.0
