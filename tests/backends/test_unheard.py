"""The user's own modes and tensor subclasses hear what they hear without a recording, and whatever fails in the
recorder stays there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import smokestep
from smokestep.backends.torch import live, open_world, recorder, running, tracer
from smokestep.findings import Verdict

heard: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_heard() -> Iterator[None]:
    heard.clear()
    yield


class Dispatched(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        heard.append(str(func))
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        heard.append(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


class Logged(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        heard.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})


class Strict(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ not in ("linear", "relu", "mse_loss"):
            raise RuntimeError(f"no {func.__name__}")
        return super().__torch_function__(func, types, args, kwargs or {})


def fed(kind: type[torch.Tensor]) -> Callable[[nn.Module, torch.Tensor], torch.Tensor]:
    def run(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            x = x.as_subclass(kind)
        output = model(x)
        with torch._C.DisableTorchFunctionSubclass():
            return output.as_subclass(torch.Tensor)

    return run


def within(mode: Callable[[], Any]) -> Callable[[nn.Module, torch.Tensor], torch.Tensor]:
    def run(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        with mode():
            return model(x)

    return run


def beside_fakes(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with FakeTensorMode(allow_non_fake_inputs=True):
        heard.append(str(tuple(model(torch.randn(7, 3)).shape)))
    return model(x)


WAYS = {
    "dispatch mode": within(Dispatched),
    "function mode": within(Functions),
    "subclass": fed(Logged),
    "strict subclass": fed(Strict),
    "fake tensors": beside_fakes,
}


def training(run: Callable[[nn.Module, torch.Tensor], torch.Tensor] = lambda model, x: model(x)) -> smokestep.Training:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Any) -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(run(model, batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(5, 3), torch.randn(5, 2)))


@pytest.mark.parametrize("way", WAYS)
def test_the_users_modes_and_subclasses_hear_no_more(way: str) -> None:
    plain = training(WAYS[way])
    for _ in range(3):
        plain.steps[""](plain.batch)
    before = list(heard)
    heard.clear()
    with open_world(lambda: training(WAYS[way]), seed=0, steps=3) as world:
        world.recording()
    assert world.raised() is None and heard == before


@pytest.mark.parametrize("way", WAYS)
def test_and_give_no_finding(way: str) -> None:
    report = smokestep.examine(lambda: training(WAYS[way]))
    assert report.findings == () and report.error is None


class Wrapper(torch.Tensor):
    """A tensor whose entries are another's, as quantized weights are kept."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def bare(value: Any) -> Any:
            return value.inner if isinstance(value, Wrapper) else value

        return func(*map(bare, args), **{key: bare(value) for key, value in (kwargs or {}).items()})


def test_a_wrapped_weight_gives_no_finding() -> None:
    weight = Wrapper(torch.randn(2, 2))
    report = smokestep.examine(lambda: training(lambda model, x: model(x) @ weight))
    assert report.findings == () and report.error is None


def failing(*arguments: Any, **keywords: Any) -> Any:
    raise ZeroDivisionError("of our own")


def test_a_call_that_cannot_be_recorded_is_opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracer.Tracer, "_made", failing)
    with open_world(training, seed=0, steps=2) as world:
        found = world.recording().flow.graphs[0]
    assert found.opaque[0][0].startswith("linear (not recorded: ZeroDivisionError: of our own")
    assert found.opaque[0][1] is not None and found.opaque[0][1].file == __file__


def test_what_depends_on_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def drops(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        model[0](x)
        return model[2](torch.ones(5, 4))

    assert smokestep.examine(lambda: training(drops)).checks["dead-branch"].verdict is Verdict.FAIL
    monkeypatch.setattr(tracer.Tracer, "_made", failing)
    report = smokestep.examine(lambda: training(drops))
    assert report.findings == () and report.checks["gradient-cut"].verdict is Verdict.OPEN


OURS = [
    (running.Running, "_root"),
    (running.Running, "follow"),
    (recorder.Recorder, "_used"),
    (recorder.Recorder, "note"),
    (recorder.Book, "backward_ends"),
    (recorder.Book, "clearing"),
    (recorder.Book, "close"),
]


@pytest.mark.parametrize(("owner", "name"), OURS, ids=[name for _, name in OURS])
def test_a_failure_of_the_recorder_is_not_the_users(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def counted(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        done.append(1)
        return model(x)

    monkeypatch.setattr(owner, name, failing)
    report = smokestep.examine(lambda: training(counted))
    assert report.verdict is Verdict.OPEN and report.findings == () and report.error is None
    assert "of our own" in report.notes[0] and len(done) >= 3


@pytest.mark.parametrize(("owner", "name"), OURS, ids=[name for _, name in OURS])
def test_a_loop_that_is_watched_goes_on(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, name, failing)
    user = training()
    with smokestep.watch() as watched:
        for _ in range(5):
            user.steps[""](user.batch)
    assert watched.report.verdict is Verdict.OPEN and watched.report.findings == ()


def test_a_run_whose_recorder_failed_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder.Book, "backward_ends", failing)
    user, called = training(), []
    with pytest.raises(recorder.StopWatching), live(3, lambda: called.append(1)):
        user.steps[""](user.batch)
    assert called == [1]
