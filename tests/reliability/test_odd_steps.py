"""Steps that nobody would write on purpose: each gets a report that says what happened, and no false defect."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch
import torch.nn.functional as F
from tests.reliability.traces import traces
from torch import nn

import smokestep
from smokestep.findings import Verdict


@pytest.fixture(autouse=True)
def _no_trace():
    before = traces()
    yield
    after = traces()
    assert {name for name in before if before[name] != after.get(name)} == set()


def healthy(change=lambda step: step, rows=8):
    """A factory of an ordinary training, its step changed."""

    def training():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step(batch):
            x, y = batch
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return smokestep.Training(change(step), (torch.randn(rows, 4), torch.randint(0, 3, (rows,))))

    return training


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        smokestep.examine(healthy(rows=0))


def test_a_model_on_the_meta_device_gives_no_defect() -> None:
    def training():
        with torch.device("meta"):
            model = nn.Linear(4, 3)
            x, y = torch.randn(8, 4), torch.zeros(8, dtype=torch.long)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()

        return smokestep.Training(step)

    assert smokestep.examine(training).defects == ()


def test_a_step_with_another_signature_is_refused() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'y'"):
        smokestep.examine(healthy(lambda step: lambda x, y: step((x, y))))


def test_a_step_that_does_nothing_is_not_green() -> None:
    report = smokestep.examine(healthy(lambda step: lambda batch: None))
    assert report.verdict is not Verdict.PASS


def test_an_optimizer_is_never_asked_for() -> None:
    def training():
        weight = torch.randn(4, 3, requires_grad=True)

        def step(x):
            (gradient,) = torch.autograd.grad((x @ weight).square().mean(), weight)
            with torch.no_grad():
                weight.sub_(0.1 * gradient)

        return smokestep.Training(step, torch.randn(8, 4))

    assert smokestep.examine(training).defects == ()


def test_the_callers_autocast_gives_no_finding() -> None:
    with torch.autocast("cpu"):
        report = smokestep.examine(healthy())
    assert (report.findings, report.error) == ((), None)


@pytest.mark.parametrize("block", [torch.no_grad, torch.inference_mode])
def test_a_caller_without_gradients_is_no_defect_of_the_training(block) -> None:
    with block():
        report = smokestep.examine(healthy())
    assert report.findings == ()


@pytest.mark.parametrize(
    "setting",
    [
        lambda: torch.set_default_device("meta"),
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.manual_seed(torch.seed() % 7),
        lambda: torch.set_num_threads(3),
        lambda: torch.set_grad_enabled(False),
        lambda: warnings.simplefilter("ignore"),
    ],
    ids=["device", "dtype", "anomaly", "deterministic", "seed", "threads", "grad mode", "warnings"],
)
def test_what_a_step_sets_is_put_back(setting) -> None:
    def change(step):
        def changing(batch):
            loss = step(batch)
            setting()
            return loss

        return changing

    with warnings.catch_warnings():
        report = smokestep.examine(healthy(change), steps=1)
    assert report.error is None and report.defects == ()


def test_an_examination_inside_a_step_does_not_confuse_the_outer_one() -> None:
    inner = []

    def change(step):
        def nesting(batch):
            inner.append(smokestep.examine(healthy()))
            return step(batch)

        return nesting

    report = smokestep.examine(healthy(change), steps=2)
    assert all(each.findings == () and each.error is None for each in inner)
    assert (report.findings, report.error) == ((), None)


def test_examined_in_a_thread() -> None:
    reports: list[smokestep.Report] = []
    thread = threading.Thread(target=lambda: reports.append(smokestep.examine(healthy())))
    thread.start()
    thread.join()
    assert [(each.findings, each.error) for each in reports] == [((), None)]


def test_a_step_that_trains_in_a_thread_gives_no_defect() -> None:
    def change(step):
        def threaded(batch):
            thread = threading.Thread(target=step, args=(batch,))
            thread.start()
            thread.join()

        return threaded

    assert smokestep.examine(healthy(change)).defects == ()


@pytest.mark.parametrize("error", [StopIteration, GeneratorExit, MemoryError, OSError, UnicodeError])
def test_the_data_ends_or_fails(error) -> None:
    def change(step):
        def loading(batch):
            raise error("no more data")

        return loading

    if not issubclass(error, Exception):
        with pytest.raises(error):
            smokestep.examine(healthy(change))
        return
    report = smokestep.examine(healthy(change))
    assert report.error is not None and error.__name__ in report.error.message and report.defects == ()


def test_a_failing_print_is_the_steps_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, text):
            raise ValueError("I/O operation on closed file")

        def flush(self):
            pass

    def change(step):
        def printing(batch):
            print(step(batch), file=Closed())

        return printing

    report = smokestep.examine(healthy(change))
    assert report.error is not None and "closed file" in report.error.message and report.defects == ()


def test_a_closure_that_raises_is_told() -> None:
    def training():
        model = nn.Linear(4, 3)
        optimizer = torch.optim.LBFGS(model.parameters())

        def step(x):
            def closure():
                optimizer.zero_grad()
                loss = model(x).square().mean()
                loss.backward()
                raise RuntimeError("in the closure")

            optimizer.step(closure)

        return smokestep.Training(step, torch.randn(8, 4))

    report = smokestep.examine(training)
    assert report.error is not None and "in the closure" in report.error.message and report.defects == ()


def test_a_step_may_build_everything_itself() -> None:
    def training():
        def step(batch):
            return healthy()().steps[""](batch)

        return smokestep.Training(step, (torch.randn(8, 4), torch.randint(0, 3, (8,))))

    report = smokestep.examine(training)
    assert report.error is None and report.defects == ()
