"""What the lab does to a model to see its modes and its state, and that nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep.backends.torch import TorchWorld, open_world
from smokestep.backends.torch.lab import switch
from smokestep.backends.torch.lab.averages import Averages
from smokestep.backends.torch.lab.leaves import leaves
from smokestep.privacy import guard, seed_everything


def classify(build: Callable[[], nn.Module]) -> Callable[[], smokestep.Training]:
    def factory() -> smokestep.Training:
        model = build()
        optimizer = torch.optim.Adam(model.parameters())

        def step(batch: Any) -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(batch[0]), batch[1]).backward()
            optimizer.step()

        return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))), model=model)

    return factory


@contextmanager
def opened(subject: Any) -> Iterator[TorchWorld]:
    with guard():
        seed_everything(0)
        with open_world(subject, seed=0, steps=3) as world:
            world.recording()
            yield world


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(6, 8), nn.Dropout(0.2), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.drop(torch.relu(self.first(x))))


def test_a_method_called_train_that_trains_is_not_called() -> None:
    called = []

    class Own(Net):
        def train(self, loader: Any, epochs: int = 1) -> None:  # type: ignore[override]
            called.append(loader)

    with opened(classify(Own)) as world:
        (own,) = world.lab().modes(0).overrides
        assert world.lab().run(0).error == ""
    assert own.other
    assert called == []


def test_modes_are_afterwards_as_they_were() -> None:
    class Keeping(Net):
        def __init__(self) -> None:
            super().__init__()
            self.aside = [nn.Dropout(0.1)]
            self.drop.eval()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(self.aside[0](x))

        def train(self, mode: bool = True) -> Keeping:
            super().train(mode)
            for each in self.aside:
                each.train(mode)
            return self

    model = Keeping()
    before = [each.training for each in (*model.modules(), *model.aside)]
    with opened(classify(lambda: model)()) as world:
        switched = world.lab().modes(0)
        assert [each.training for each in (*model.modules(), *model.aside)] == before
    assert switched.unreached == ()
    assert [(each.method, each.returns, each.stuck, each.lost) for each in switched.overrides] == [
        ("train", True, (), ())
    ]


def test_a_layer_in_a_list_is_found_where_it_runs_only() -> None:
    class Listing(Net):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = [nn.Dropout(0.1)], [nn.Dropout(0.1)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(self.used[0](x))

    with opened(classify(Listing)) as world:
        assert [(each.name, each.plain) for each in world.lab().modes(0).unreached] == [("used[0]", True)]


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (lambda self, mode=True: self, True),
        (lambda self, mode: self, True),
        (lambda self: self, True),
        (lambda self, *args, **kwargs: self, True),
        (lambda self, loader: self, False),
        (lambda self, mode, loader: self, False),
        (lambda self, epochs=10: self, False),
    ],
)
def test_a_switch_is_known_by_its_parameters(function: Any, answer: bool) -> None:
    assert switch.switches(function) is answer


class Keeper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("queue", torch.randn(6, 4))
        self.hidden = torch.zeros(4)
        self.count = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        self.queue = torch.cat([self.queue[1:], x[:1]])
        self.hidden = torch.tanh(x.mean(0) + torch.flip(self.hidden, (0,)))
        return x + self.mean + self.hidden + self.queue.mean(0)


def test_an_average_is_told_from_a_queue_and_a_hidden_state() -> None:
    torch.manual_seed(0)
    module, x = Keeper(), torch.randn(5, 4)
    watched = Averages(module)
    for _ in range(3):
        with watched:
            module(x)
    assert watched.found() == ("mean",)


def test_leaves_are_read_and_put_in_place() -> None:
    module = Keeper()
    found = leaves(module)
    assert {"mean", "queue", "hidden", "count"} <= set(found)
    assert "training" not in found
    found["count"].put(5)
    found["mean"].put(torch.ones(4))
    assert module.count == 5
    assert module.mean.tolist() == [1.0] * 4


def test_what_needs_a_training_built_afresh_says_so() -> None:
    with opened(classify(Net)()) as world:
        lab = world.lab()
        for skipped in (lab.round_trip(0).skipped, lab.resume().skipped, lab.rebuilt().skipped):
            assert "hand over a function that builds it" in skipped


def test_one_model_for_every_training_is_no_round_trip() -> None:
    model = Net()
    with opened(classify(lambda: model)) as world:
        assert "the same model" in world.lab().round_trip(0).skipped


def test_a_healthy_training_comes_back_whole() -> None:
    with opened(classify(Net)) as world:
        lab = world.lab()
        trip, resumed, rebuilt = lab.round_trip(0), lab.resume(), lab.rebuilt()
    assert (trip.apart, trip.lost, trip.refused, trip.skipped) == (0.0, (), "", "")
    assert (resumed.apart, resumed.skipped) == (0.0, "")
    assert (rebuilt.losses, rebuilt.parameters, rebuilt.tensors) == ((), (), ())
