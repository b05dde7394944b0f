"""However an examination ends, nothing of it is left in the framework, on the user's objects or in memory."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.reliability.traces import alive, hooks_of, traces
from torch import nn

import smokestep


class Stopped(Exception):
    """What the user's code raises."""


class Net(nn.Module):
    """A small model that raises in its forward pass when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))
        self.fault: BaseException | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fault is not None:
            raise self.fault
        return self.body(x)


def parts() -> tuple[Net, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1)


def loop(model, optimizer, scheduler):
    """A step with everything in it that smokestep listens to."""

    def step(batch):
        x, y = batch
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        return loss

    return step


BATCH = torch.randn(8, 4), torch.randint(0, 3, (8,))


def ordinary(step, model):
    smokestep.examine(smokestep.Training(step, BATCH))


def afresh(step, model):
    smokestep.examine(lambda: smokestep.Training(loop(*parts()), BATCH))


def forward_raises(step, model):
    model.fault = Stopped("forward")
    assert smokestep.examine(smokestep.Training(step, BATCH)).error


def interrupted(step, model):
    model.fault = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        smokestep.examine(smokestep.Training(step, BATCH))


def exits(step, model):
    model.fault = SystemExit(3)
    with pytest.raises(SystemExit):
        smokestep.examine(smokestep.Training(step, BATCH))


def recursion(step, model):
    model.fault = RecursionError("too deep")
    assert smokestep.examine(smokestep.Training(step, BATCH)).error


def factory_raises(step, model):
    def training():
        raise Stopped("factory")

    with pytest.raises(Stopped):
        smokestep.examine(training)


def factory_gives_nothing(step, model):
    with pytest.raises(TypeError, match="Training"):
        smokestep.examine(lambda: None)


def nested(step, model):
    def both(batch):
        smokestep.examine(smokestep.Training(loop(*parts()), BATCH))
        return step(batch)

    smokestep.examine(smokestep.Training(both, BATCH), steps=1)


def watched(step, model):
    with smokestep.watch(steps=2):
        for _ in range(4):
            step(BATCH)


def watched_and_raises(step, model):
    with pytest.raises(Stopped), smokestep.watch():
        step(BATCH)
        raise Stopped("loop")


def asserted(step, model):
    with smokestep.trains(model):
        step(BATCH)


def asserted_and_fails(step, model):
    with pytest.raises(AssertionError), smokestep.untouched(model):
        step(BATCH)


ENDINGS = [
    ordinary,
    afresh,
    forward_raises,
    interrupted,
    exits,
    recursion,
    factory_raises,
    factory_gives_nothing,
    nested,
    watched,
    watched_and_raises,
    asserted,
    asserted_and_fails,
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_hook_patch_or_setting_stays(ending) -> None:
    model, optimizer, scheduler = parts()
    step = loop(model, optimizer, scheduler)
    watching = ending.__name__.startswith(("watched", "asserted"))
    before, hooks = traces(), hooks_of(model, optimizer)
    ending(step, model)
    model.fault = None
    after = traces()
    if watching:  # the user's own steps draw random numbers there
        before.pop("random state"), after.pop("random state")
    assert {name for name in before if before[name] != after.get(name)} == set()
    assert hooks_of(model, optimizer) == hooks


@pytest.mark.parametrize("ending", [ordinary, afresh, forward_raises, watched, asserted])
def test_nothing_is_kept_alive(ending) -> None:
    before = alive(Net), alive(torch.optim.Optimizer)

    def scope():
        model, optimizer, scheduler = parts()
        ending(loop(model, optimizer, scheduler), model)

    scope()
    assert (alive(Net), alive(torch.optim.Optimizer)) == before


def test_a_training_goes_on_as_if_never_examined() -> None:
    def losses(examined: bool) -> list[float]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model, optimizer, scheduler = parts()
            step = loop(model, optimizer, scheduler)
            found = [step(BATCH).item()]
            if examined:
                smokestep.examine(smokestep.Training(step, BATCH))
            return [*found, step(BATCH).item(), step(BATCH).item()]

    assert losses(examined=True) == losses(examined=False)
