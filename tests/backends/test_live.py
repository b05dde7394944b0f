"""Where the steps of a running loop begin and end, seen from outside of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from smokestep.backends.torch import StopWatching, live
from smokestep.evidence.steps import Steps
from smokestep.world import Recording


class Parts:
    def __init__(self, make: Any = torch.optim.SGD, **options: Any) -> None:
        self.model = nn.Linear(2, 1)
        self.optimizer = make(self.model.parameters(), lr=0.1, **options)

    def loss(self) -> torch.Tensor:
        return self.model(torch.ones(3, 2)).pow(2).mean()

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()


def watched(loop: Callable[[], Any], steps: int = 3) -> Recording:
    with live(steps) as world:
        loop()
        return world.recording()


def kinds(steps: Steps, step: int) -> list[str]:
    return [event.kind for event in steps.events if event.step == step]


def test_each_turn_of_the_loop_is_a_step() -> None:
    def loop() -> None:
        parts = Parts()
        for _ in range(3):
            parts.step()

    found = watched(loop).steps
    assert found.count == 3 and found.kind == "live"
    order = ["forward", "backward", "update"]
    assert [[kind for kind in kinds(found, step) if kind in order] for step in range(3)] == [order] * 3


def test_every_step_has_its_own_graph_and_movements() -> None:
    def loop() -> None:
        parts = Parts()
        for _ in range(3):
            parts.step()

    found = watched(loop)
    assert [len(each.backwards) for each in found.flow.graphs] == [1, 1, 1]
    assert [move.update > 0 for move in found.steps.moves("weight")] == [True] * 3


def test_two_optimizers_share_a_step() -> None:
    def loop() -> None:
        one, other = Parts(), Parts()
        for _ in range(3):
            one.step()
            other.step()

    found = watched(loop).steps
    assert found.count == 3 and all(kinds(found, step).count("update") == 2 for step in range(3))


def test_accumulation_is_one_step() -> None:
    def loop() -> None:
        parts = Parts()
        for _ in range(3):
            for _ in range(4):
                parts.loss().backward()
            parts.optimizer.step()
            parts.optimizer.zero_grad()

    found = watched(loop).steps
    assert found.count == 3 and all(kinds(found, step).count("backward") == 4 for step in range(3))


@pytest.mark.parametrize("make", [torch.optim.SGD, lambda p, lr: torch.optim.LBFGS(p, lr=lr, max_iter=2)])
def test_what_runs_in_the_closure_of_an_update_belongs_to_its_step(make: Any) -> None:
    def loop() -> None:
        parts = Parts(make)

        def closure() -> torch.Tensor:
            parts.optimizer.zero_grad()
            loss = parts.loss()
            loss.backward()
            return loss

        for _ in range(3):
            parts.optimizer.step(closure)
            with torch.no_grad():
                parts.loss()

    found = watched(loop).steps
    assert found.count == 3
    for step in range(3):
        trained = [event for event in found.events if event.step == step and event.kind in ("update", "backward")]
        assert [each.kind for each in trained][:2] == ["update", "backward"]
        assert sum(each.kind == "update" for each in trained) == 1
        assert all(each.received and each.update for each in found.movements if each.step == step)


def test_five_critic_steps_to_one_of_the_generator() -> None:
    def loop() -> None:
        critic, generator = Parts(), Parts()
        for _ in range(4):
            for _ in range(5):
                critic.step()
            generator.step()

    found = watched(loop)
    assert {each.updates >= 3 for each in found.steps.optimizers} == {True}
    assert found.steps.count >= 3


def test_validation_between_steps_is_no_step() -> None:
    def loop() -> None:
        parts = Parts()
        for _ in range(3):
            parts.step()
            with torch.no_grad():
                parts.loss()

    found = watched(loop).steps
    assert found.count == 3 and all(kinds(found, step).count("update") == 1 for step in range(3))


def test_what_follows_the_last_update_is_no_step() -> None:
    def loop() -> None:
        parts = Parts()
        for _ in range(2):
            parts.step()
        parts.loss()

    assert watched(loop).steps.count == 2


def test_building_is_no_step() -> None:
    def loop() -> None:
        parts = Parts()
        parts.model(torch.zeros(1, 2))
        for _ in range(2):
            parts.step()

    found = watched(loop)
    assert found.steps.count == 2
    assert {value.name for value in found.flow.graphs[1].sources("parameter")} == {"weight", "bias"}


def test_a_watch_may_begin_in_the_middle() -> None:
    parts = Parts(torch.optim.Adam)
    for _ in range(3):
        parts.step()
    found = watched(lambda: [parts.step() for _ in range(3)]).steps
    assert found.count == 3 and found.optimizers[0].kind == "Adam" and found.optimizers[0].updates == 3


def test_a_loop_that_updates_by_hand() -> None:
    def loop() -> None:
        model = nn.Linear(2, 1)
        for _ in range(3):
            model(torch.ones(3, 2)).pow(2).mean().backward()
            with torch.no_grad():
                for own in model.parameters():
                    own -= 0.1 * own.grad
                    own.grad = None

    found = watched(loop).steps
    assert found.optimizers == () and {event.kind for event in found.events} >= {"manual", "backward"}
    assert {name for event in found.of("manual") for name in event.parameters} == {"weight", "bias"}


def test_no_loop_is_no_step() -> None:
    assert watched(lambda: None).steps.count == 0


def test_a_recording_may_be_asked_for_again_and_after_the_end() -> None:
    parts = Parts()
    with live(3) as world:
        parts.step()
    assert world.recording() is world.recording() and world.recording().steps.count == 1


def test_a_run_is_stopped_when_enough_was_seen() -> None:
    parts, called = Parts(), []
    with pytest.raises(StopWatching), live(3, lambda: called.append(1)):
        for _ in range(100):
            parts.step()
    assert called == [1]


def test_what_a_stopped_loop_does_on_its_way_out_is_not_recorded() -> None:
    parts = Parts()
    with pytest.raises(StopWatching), live(3, lambda: None) as world:
        try:
            for _ in range(100):
                parts.step()
        finally:
            for each in parts.model.parameters():
                each.data = torch.zeros_like(each)
            parts.loss()
    steps = world.recording().steps
    assert steps.count == 3 and not steps.of("manual")
    assert steps.of("update")[-1].step == 2


def test_a_loop_that_swallows_the_stop_is_stopped_again() -> None:
    parts, called = Parts(), []
    with live(3, lambda: called.append(1)):
        for _ in range(20):
            try:
                parts.step()
            except BaseException:
                continue
    assert len(called) > 3


def test_a_watch_never_stops_the_loop() -> None:
    parts, done = Parts(), []
    watched(lambda: [(parts.step(), done.append(1)) for _ in range(30)])
    assert len(done) == 30


def test_a_thread_of_its_own_is_followed() -> None:
    def loop() -> None:
        parts = Parts()
        thread = threading.Thread(target=lambda: [parts.step() for _ in range(3)])
        thread.start()
        thread.join()

    assert watched(loop).steps.count == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_records_nothing() -> None:
    parts = Parts()
    with live(3) as world:
        for _ in range(2):
            parts.step()
            recorded = len(world.recorder.events), len(world.recorder.tracer.ops)
            child = os.fork()
            if not child:
                parts.step()
                os._exit(recorded != (len(world.recorder.events), len(world.recorder.tracer.ops)))
            assert os.waitpid(child, 0)[1] == 0
        assert world.recording().steps.count == 2


def test_the_scheduler_and_the_clipping_are_heard() -> None:
    def loop() -> None:
        parts = Parts()
        scheduler = torch.optim.lr_scheduler.StepLR(parts.optimizer, 1)
        for _ in range(2):
            parts.optimizer.zero_grad()
            parts.loss().backward()
            nn.utils.clip_grad_norm_(parts.model.parameters(), 0.5)
            parts.optimizer.step()
            scheduler.step()

    found = watched(loop).steps
    assert [event.detail["limit"] for event in found.of("clip")] == [0.5, 0.5]
    assert {event.detail["kind"] for event in found.of("scheduler")} == {"StepLR"}


def test_a_scaler_is_heard() -> None:
    def loop() -> None:
        parts = Parts()
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        for step in range(3):
            parts.optimizer.zero_grad()
            loss = parts.loss() * (float("inf") if step == 1 else 1.0)
            scaler.scale(loss).backward()
            scaler.unscale_(parts.optimizer)
            scaler.step(parts.optimizer)
            scaler.update()

    found = watched(loop).steps
    assert [event.detail["skipped"] for event in found.of("update")] == [False, True, False]
    assert len(found.of("unscale")) == 3
