"""The lab: calls and steps made again with edited arguments, and everything put back."""

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
from smokestep.backends.torch import live, open_world
from smokestep.evidence.trials import Extend, Other, Put, Take
from smokestep.world import NotOffered


class Counting(nn.Module):
    """Keeps a buffer and an attribute, scales its input in place on demand, and draws in training."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls, self.writes = nn.Linear(4, 3), 0, False
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor, scale: float = 1.0, extra: Any = None) -> torch.Tensor:
        self.calls += 1
        self.seen += 1
        if self.writes:
            x.mul_(2)
        if extra is not None and extra["bias"].sum() > 1e6:
            raise ValueError("too much")
        return F.dropout(self.linear(x * scale), 0.5, self.training)


def training(model: nn.Module | None = None) -> smokestep.Training:
    net = model or Counting()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(batch: Any) -> torch.Tensor:
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x, extra={"bias": torch.ones(len(x))}), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 4), torch.arange(6) % 3))


@contextmanager
def lab(model: nn.Module | None = None) -> Iterator[Any]:
    with privacy.guard():
        privacy.seed_everything(0)
        with open_world(lambda: training(model), seed=0, steps=3) as world:
            yield world.lab()


ROWS = ("x", "extra.bias")


def test_a_trial_has_the_arguments_of_the_last_step_by_name() -> None:
    with lab() as it:
        [trial] = it.trials()
    assert [(each.name, each.shape) for each in trial.arguments] == [("x", (6, 4)), ("extra.bias", (6,))]
    assert [each.shape for each in trial.outputs] == [(6, 3)]
    assert trial.step == 2 and trial.training and trial.line and "loss = F.cross_entropy" in trial.line.code


def test_equal_calls_are_equal_and_begin_alike() -> None:
    with lab() as it:
        first, again = it.run(0), it.run(0)
        [apart] = it.differences(first, again)
    assert apart.largest == (0.0,) * 6 and not first.drew
    assert set(first.kept) == set(again.kept) != set()


def test_a_nudged_row_changes_that_row_only() -> None:
    with lab() as it:
        [apart] = it.differences(it.run(0), it.run(0, [Other("x", ((0, (2,)),))]))
    assert apart.beyond(16) == (2,)


def test_rows_are_taken_in_the_order_asked_for() -> None:
    with lab() as it:
        [apart] = it.differences(it.run(0, [Take(ROWS, 0, (4, 1))]), it.run(0), at=(4, 1))
    assert apart.beyond(1e3) == ()


def test_put_and_extend_edit_copies() -> None:
    with lab() as it:
        assert "too much" in it.run(0, [Put("extra.bias", ((0, (0,)),), 1e9)]).error
        assert it.run(0, [Extend("x", 0, 2, 0.0)]).outputs[0].shape == (8, 3)
        assert it.run(0).error == ""


def test_training_mode_draws_and_evaluation_does_not() -> None:
    with lab() as it:
        assert it.run(0, training=True).drew and not it.run(0).drew


def test_what_a_call_writes_into_its_argument_is_told_and_not_kept() -> None:
    model = Counting()
    with lab(model) as it:
        before = it.run(0)
        model.writes = True
        writing = it.run(0)
        model.writes = False
        assert writing.wrote == ("x",)
        assert it.differences(before, it.run(0))[0].beyond(0) == ()


def test_nothing_of_the_model_is_changed_by_a_trial() -> None:
    model = Counting()
    with lab(model) as it:
        calls, seen, mode = model.calls, float(model.seen), model.training
        generator = torch.get_rng_state()
        it.run(0, training=True)
        it.run(0, [Other("x", ((0, (0,)),))])
        assert (model.calls, float(model.seen), model.training) == (calls, seen, mode)
        assert torch.equal(torch.get_rng_state(), generator)


def test_whole_numbers_become_others_that_occur() -> None:
    class Ids(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(9, 3)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.table(ids).mean(1)

    def build() -> smokestep.Training:
        model = Ids()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step(batch: Any) -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(batch), batch[:, 0] % 3).backward()
            optimizer.step()

        return smokestep.Training(step, torch.tensor([[8, 1], [3, 8], [1, 1]]))

    with privacy.guard(), open_world(build, seed=0, steps=2) as world:
        it = world.lab()
        outcome = it.run(0, [Other("ids", ((0, (0, 1, 2)),))])
        assert outcome.error == "" and it.differences(it.run(0), outcome)[0].beyond(16) == (0, 1, 2)


def test_a_trail_tells_the_operations_that_differ_and_their_module() -> None:
    with lab() as it:
        found = it.trail(0, [], [Other("x", ((0, (1,)),))])
    assert [each.name for each in found][:2] == ["mul", "linear"]
    assert all(each.makes[0].indices[0] == (1,) for each in found)
    assert found[1].module == "linear" and found[1].learned and not found[0].learned


def test_a_dry_step_gives_its_loss_and_changes_nothing() -> None:
    model = Counting()
    with lab(model) as it:
        weight, calls = model.linear.weight.detach().clone(), model.calls
        [x, y] = it.batch()
        plain, twice = it.dry(), it.dry([Take((x.name, y.name), 0, tuple(range(6)) * 2)])
        assert plain.losses == pytest.approx(twice.losses) and plain.losses == (plain.returned,)
        assert not plain.drew  # dropout drops nothing
        assert torch.equal(model.linear.weight, weight) and model.calls == calls


def test_a_dry_step_that_raises_tells_it() -> None:
    with lab() as it:
        assert "IndexError" in it.dry([Put("batch[1]", ((0, (0,)),), 7)]).error


def test_a_fresh_training_is_trained_for_real() -> None:
    with lab() as it:
        with it.fresh(seed=0) as one, it.fresh(seed=0) as other:
            assert one.step().losses != one.step().losses
            assert len(other.step().losses) == 1


def test_a_live_loop_offers_its_calls_but_not_its_step() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with live(3) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3).backward()
            optimizer.step()
        it = watched.lab()
        assert it.run(0).outputs[0].shape == (6, 3)
        with pytest.raises(NotOffered, match="watched"):
            it.dry()
