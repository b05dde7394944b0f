"""Beginnings and activations: what parameters held at first, and which units stayed zero, as recorded."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.backends.recorded import record
from torch import nn

from smokestep.world import Recording


def trained(model: nn.Module, *, steps: int = 3, x: Any = None, lr: float = 0.1) -> Recording:
    """Steps of plain gradient descent on the sum of squares of what the model gives."""
    x = torch.randn(6, 4) if x is None else x
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)

    def step() -> None:
        optimizer.zero_grad()
        (model(x) - 1.0).square().mean().backward()
        optimizer.step()

    return record(step, steps=steps, model=model)


@pytest.mark.parametrize(
    ("fill", "dims"),
    [
        (lambda w: w.fill_(0.3), (0, 1)),
        (lambda w: w.copy_(torch.randn(4).expand(5, 4)), (0,)),
        (lambda w: w.copy_(torch.randn(5, 1).expand(5, 4)), (1,)),
        (lambda w: w[1:].fill_(0.3), None),
        (lambda w: w[0].copy_(w[1]), None),
    ],
)
def test_the_dimensions_along_which_all_slices_are_the_same(fill: Any, dims: tuple[int, ...] | None) -> None:
    model = nn.Linear(4, 5)
    with torch.no_grad():
        fill(model.weight)
    found = trained(model).beginnings.alike
    assert [(each.parameter, each.dims) for each in found] == ([] if dims is None else [("weight", dims)])


def test_how_far_the_gradients_of_the_slices_lie_apart() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    for layer in (model[0], model[2]):
        nn.init.constant_(layer.weight, 0.2)
        nn.init.zeros_(layer.bias)
    first, second = trained(model).beginnings.alike
    assert first.parameter == "0.weight" and len(first.apart(0)) == 3 and max(first.apart(0)) <= 1e-6
    assert min(first.apart(1)) > 0.01  # the inputs differ
    assert second.dims == (1,) and max(second.apart(1)) <= 1e-6


def test_a_step_without_gradient_tells_nothing() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 1))
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[0].weight)
    found = {each.parameter: each for each in trained(model, steps=1).beginnings.alike}
    assert found["0.weight"].spreads == ((None, None),)
    assert found["1.weight"].dims == (1,)


def test_copies_and_whether_they_stay_so() -> None:
    one = nn.Linear(4, 3)
    both = nn.ModuleList([one, copy.deepcopy(one), nn.Linear(4, 3)])

    class Sum(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.parts, self.factor = both, factor

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.parts[0](x) + self.factor * self.parts[1](x) + self.parts[2](x)

    pairs = trained(Sum(1.0)).beginnings.copies  # a bias of three entries is too short to be told from chance
    assert [(each.first, each.second, each.still, each.shared) for each in pairs] == [
        ("parts.0.weight", "parts.1.weight", True, False)
    ]
    both[1] = copy.deepcopy(one)
    assert [each.still for each in trained(Sum(0.5)).beginnings.copies] == [False]


def test_tied_parameters_are_one_and_shared_memory_is_told() -> None:
    class Tied(nn.Module):
        def __init__(self, through_data: bool) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            if through_data:
                self.b.weight.data = self.a.weight.data
            else:
                self.b.weight = self.a.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.tanh(self.a(x)))

    assert not trained(Tied(False)).beginnings.copies
    (pair,) = trained(Tied(True)).beginnings.copies
    assert (pair.first, pair.second, pair.still, pair.shared) == ("a.weight", "b.weight", True, True)


def test_constants_and_scales_are_no_copies() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.LayerNorm(4))
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.bias)
    assert not trained(model).beginnings.copies


def test_units_that_are_zero_in_every_step() -> None:
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 1))
    with torch.no_grad():
        model[0].bias[:8] = -100.0
    (site,) = trained(model).numbers.activations
    assert (site.op, site.units, site.entries, site.steps) == ("relu", 10, 6, 3)
    assert site.dead >= 0.8


def test_a_unit_that_is_on_in_any_step_is_not_dead() -> None:
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 1))
    nn.init.zeros_(model[0].weight)
    nn.init.constant_(model[0].bias, -1.0)
    turns = iter(range(9))

    def step() -> None:
        with torch.no_grad():
            model[0].bias.fill_(-1.0 if next(turns) < 2 else 1.0)
        model(torch.randn(6, 4)).mean().backward()

    (site,) = record(step, steps=3, model=model).numbers.activations
    assert (site.dead, site.steps) == (0.0, 3)


def test_what_looked_well_at_first_is_not_measured_again() -> None:
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 1))
    assert trained(model, x=torch.randn(64, 4)).numbers.activations == ()


def test_saturation_is_the_least_of_all_steps() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.scales = nn.Linear(4, 8), iter((1e4, 1e4, 1e-4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.layer(x) * next(self.scales))

    (site,) = trained(Scaled()).numbers.activations
    assert (site.op, site.saturated, site.steps) == ("tanh", 0.0, 3)


def test_a_copy_is_told_beside_one_that_trains_not_beside_a_target() -> None:
    target = nn.Linear(4, 3).requires_grad_(False)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.target, self.one, self.other = target, *(copy.deepcopy(target).requires_grad_() for _ in range(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(x) + self.other(x) + self.target(x)

    pairs = {(each.second, each.still) for each in trained(Net()).beginnings.copies if each.first == "one.weight"}
    assert ("other.weight", True) in pairs
    assert ("target.weight", True) not in pairs
