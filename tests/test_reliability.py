"""Whatever the user's step does, the user's objects and the global state are afterwards as they were, and the report
says what happened. Each test breaks one step at one place."""

from __future__ import annotations

import copy
import random

import numpy
import pytest
import torch
from torch import nn

import smokestep
import smokestep.privacy
from smokestep.backends.torch import state
from smokestep.engine import TrainingError
from smokestep.findings import Verdict

PLACES = ["before", "forward", "hook", "loss", "backward", "gradient hook", "clip", "optimizer hook", "update", "print"]


class Broken(Exception):
    """What the user's code raises."""


class Loop:
    """A training that fails at one place, in the second step; it counts what it does in plain attributes."""

    def __init__(self, place=None, error=Broken):
        self.place, self.error, self.calls, self.losses = place, error, 0, []
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1)
        self.batch = torch.randn(8, 3), torch.randint(0, 2, (8,))
        self.model[3].register_forward_hook(lambda *_: self.fail("hook"))
        self.model[0].weight.register_hook(lambda *_: self.fail("gradient hook"))
        self.optimizer.register_step_pre_hook(lambda *_: self.fail("optimizer hook"))

    def fail(self, place):
        if place == self.place and self.calls == 2:
            raise self.error("here")

    def step(self, batch):
        inputs, targets = batch
        self.calls += 1
        self.fail("before")
        self.optimizer.zero_grad()
        output = self.model(inputs)
        self.fail("forward")
        loss = nn.functional.cross_entropy(output, targets)
        self.fail("loss")
        loss.backward()
        self.fail("backward")
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.fail("clip")
        self.optimizer.step()
        self.fail("update")
        self.scheduler.step()
        self.losses.append(loss.item())
        self.fail("print")
        return loss

    def training(self):
        return smokestep.Training(self.step, self.batch)

    def facts(self):
        """Everything of it, as plain values."""
        model = {name: value.clone() for name, value in self.model.state_dict().items()}
        gradients = [None if p.grad is None else p.grad.clone() for p in self.model.parameters()]
        modes = [module.training for module in self.model.modules()]
        optimizers = copy.deepcopy((self.optimizer.state_dict(), self.scheduler.state_dict()))
        return model, gradients, modes, optimizers, self.calls, list(self.losses)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.fixture(autouse=True)
def _nothing_leaks():
    generators = random.getstate(), repr(numpy.random.get_state())
    settings = state.global_state()
    yield
    now = state.global_state()
    assert {name for name in settings if not same(settings[name][0], now[name][0])} == set()
    assert (random.getstate(), repr(numpy.random.get_state())) == generators


@pytest.fixture
def loop(request):
    """A loop on which some steps have been taken already, so that there is state to spoil."""
    with smokestep.privacy.guard():
        torch.manual_seed(0)
        loop = Loop()
        loop.step(loop.batch)
        loop.calls = 0
    return loop


def test_a_clean_run_leaves_no_trace(loop):
    before = loop.facts()
    report = smokestep.examine(loop.training())
    assert same(loop.facts(), before) and report.suspicions == () and report.error is None


@pytest.mark.parametrize("place", PLACES)
def test_an_exception_leaves_no_trace_and_is_told(loop, place):
    loop.place = place
    before = loop.facts()
    report = smokestep.examine(loop.training())
    assert same(loop.facts(), before)
    assert report.verdict is Verdict.OPEN and report.defects == ()
    assert report.error.message == "Broken: here" and report.error.completed == 1
    assert report.error.line.file == __file__ and "Broken: here" in str(report).splitlines()[0]


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_leaves_no_trace_and_goes_through(loop, place):
    loop.place, loop.error = place, KeyboardInterrupt
    before = loop.facts()
    with pytest.raises(KeyboardInterrupt):
        smokestep.examine(loop.training())
    assert same(loop.facts(), before)


def test_verify_raises_from_the_exception_itself(loop):
    loop.place = "backward"
    with pytest.raises(TrainingError) as caught:
        smokestep.verify(loop.training())
    assert isinstance(caught.value.__cause__, Broken)


def test_an_exception_in_the_first_step_gives_no_finding(loop):
    loop.place, loop.calls = "loss", 1
    report = smokestep.examine(loop.training())
    assert report.findings == () and report.error.completed == 0


def test_an_exception_while_building_goes_through():
    def training():
        torch.set_default_dtype(torch.float64)
        raise Broken

    with pytest.raises(Broken):
        smokestep.examine(training)


CHANGES = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "thread count": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "cudnn benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_is_put_back_and_told(loop, name):
    before, step = loop.facts(), loop.step

    def changing(batch):
        loss = step(batch)
        CHANGES[name]()
        return loss

    report = smokestep.examine(smokestep.Training(changing, loop.batch), steps=1)
    assert same(loop.facts(), before)
    assert f"put back after the run: {name}" in report.notes


def test_seeding_in_the_step_stays_inside(loop):
    def seeding(batch):
        torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
        return loop.step(batch)

    before = loop.facts()
    smokestep.examine(smokestep.Training(seeding, loop.batch))
    assert same(loop.facts(), before)


def test_the_same_seed_gives_the_same_report(loop):
    reports = [smokestep.examine(loop.training(), seed=3).to_dict() for _ in range(2)]
    for report in reports:
        del report["cost"], report["experiments"]
    assert reports[0] == reports[1]


@pytest.mark.parametrize("place", [None, *PLACES])
def test_a_watched_loop_runs_as_it_would_alone(place):
    def run(watching):
        with smokestep.privacy.guard():
            torch.manual_seed(0)
            loop = Loop(place)
            try:
                with watching as watched:
                    for _ in range(5):
                        loop.step(loop.batch)
            except Broken:
                pass
        return loop.facts(), watched

    alone, _ = run(smokestep.privacy.guard())
    beside, watched = run(smokestep.watch(steps=2))
    assert same(alone, beside)
    assert (watched.report.error is None) == (place is None) and watched.report.defects == ()
