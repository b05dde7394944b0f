"""The log of modes: what it keeps of modules, statistics and dropout, told by small modules that really run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from smokestep.backends.torch.conditions import guarded, passes, sets_mode
from smokestep.backends.torch.modes import ModeLog
from smokestep.evidence.modes import Layer, Modes, Run
from smokestep.findings import Line

AT = Line("t.py", 3)


@contextmanager
def hearing(log: ModeLog, step: int, root: nn.Module) -> Iterator[None]:
    """Every module call goes to the log, as the recorder's hook does it."""

    def ran(module: nn.Module, inputs: Any) -> None:
        log.ran(
            module, step=step, grad=torch.is_grad_enabled(), inputs=inputs, line=AT, op_index=7, root=module is root
        )

    handle = nn.modules.module.register_module_forward_pre_hook(ran)
    try:
        yield
        log.end(step)
    finally:
        handle.remove()


def modes(
    model: nn.Module, batch: torch.Tensor, steps: int = 2, before: Callable[[int], Any] = lambda step: None
) -> Modes:
    log = ModeLog()
    for step in range(steps):
        before(step)
        with hearing(log, step, model):
            model(batch)
    return finish(log, model)


def finish(log: ModeLog, model: nn.Module, paths: Mapping[int, str] | None = None) -> Modes:
    named = {id(module): name for name, module in model.named_modules()} if paths is None else paths
    return log.finish(named, lambda path: "model", lambda step, op: op == 7, lambda kind: False)


def layer(found: Modes, path: str) -> Layer:
    return next(each for each in found.layers if each.path == path)


def test_batch_norm_in_training_mode_moves_its_statistics() -> None:
    found = layer(modes(nn.Sequential(nn.BatchNorm1d(3)), torch.randn(4, 3)), "0")
    assert (found.kind, found.statistics, found.moved, found.seen) == ("batch_norm", True, (True, True), 0)
    assert found.trainable == ("0.weight", "0.bias")


def test_batch_norm_in_evaluation_mode_does_not() -> None:
    found = modes(nn.Sequential(nn.BatchNorm1d(3)).eval(), torch.randn(4, 3))
    assert layer(found, "0").moved == (False, False)
    assert [run.training for run in found.of("0")] == [False, False]


def test_momentum_zero_counts_batches_and_moves_nothing() -> None:
    assert layer(modes(nn.Sequential(nn.BatchNorm1d(3, momentum=0.0)), torch.randn(4, 3)), "0").moved == (False, False)


def test_statistics_of_a_file_without_a_counter_were_seen() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3))
    model[0].running_mean.fill_(0.5)
    assert layer(modes(model, torch.randn(4, 3)), "0").seen == 1


def test_a_model_counts_as_root_and_ordinary_layers_are_left_out() -> None:
    found = modes(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.randn(4, 3))
    assert [(each.path, each.kind) for each in found.layers] == [("", "root")]


def test_a_hand_written_normalization_is_known_by_its_buffers() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("running_mean", torch.zeros(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - self.running_mean

    assert layer(modes(nn.Sequential(Own()), torch.randn(4, 3)), "0").kind == "other"


def test_batch_norm_by_function_runs_in_the_mode_of_its_argument() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("var", torch.ones(3))

    model, log, x = nn.Sequential(Own()), ModeLog(), torch.randn(4, 3)
    own = model[0]
    log.normalized(0, (x, own.mean, own.var), {"weight": own.weight, "training": False}, own, AT, True, 7)
    log.end(0)
    found = finish(log, model)
    assert found.of("0") == (Run(0, "0", False, True, samples=4, line=AT),)
    assert layer(found, "0").seen == 0
    assert layer(found, "0").trainable == ("0.weight",)
    assert layer(found, "0").statistics_names == ("0.mean", "0.var")
    assert layer(found, "0").moved == (False,)


@pytest.mark.parametrize(
    ("module", "shape", "samples"),
    [
        (nn.BatchNorm1d(3), (4, 3), 4),
        (nn.BatchNorm2d(3), (2, 3, 5, 5), 50),
        (nn.LayerNorm(1), (4, 1), 1),
        (nn.LayerNorm([3, 2]), (4, 3, 2), 6),
        (nn.GroupNorm(3, 3), (4, 3, 1), 1),
        (nn.InstanceNorm2d(3), (2, 3, 5, 5), 25),
        (nn.InstanceNorm1d(3), (3, 7), 7),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_values_that_one_mean_is_taken_over(module: nn.Module, shape: tuple[int, ...], samples: int) -> None:
    model = nn.Sequential(module)
    assert modes(model, torch.randn(shape), 1).of("0")[0].samples == samples


def test_a_switch_is_told_once_for_a_model_and_its_children() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    log = ModeLog()
    for module in (model, *model.children()):
        log.switch(module, False, AT)
    assert finish(log, model).switches == (("", False, AT),)


def test_switches_made_while_the_training_was_built_are_kept() -> None:
    model = nn.Sequential(nn.Dropout())
    log = ModeLog()
    log.switch(model, False, AT)
    log.forget()
    assert finish(log, model).switches == (("", False, AT),)


def test_a_module_without_a_path_is_left_out() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3))
    log = ModeLog()
    with hearing(log, 0, model):
        model(torch.randn(4, 3))
    assert finish(log, model, {}) == Modes((), ())


def test_a_dropout_built_where_it_is_used_is_stuck() -> None:
    model, stray, log = nn.Sequential(nn.Linear(2, 2)), nn.Dropout(0.3), ModeLog()
    log.ran(stray, step=0, grad=True, inputs=(torch.ones(2),), line=AT, op_index=7, inside=model)
    (found,) = finish(log, model).dropouts
    assert (found.module, found.passed, found.probability) == ("model", False, 0.3)


def test_the_line_is_looked_for_only_when_it_is_kept() -> None:
    model, log = nn.Sequential(nn.BatchNorm1d(3)), ModeLog()
    asked: list[int] = []

    def line() -> Line:
        asked.append(1)
        return AT

    for _ in range(3):
        log.ran(model[0], step=0, grad=True, inputs=(torch.randn(4, 3),), line=line, op_index=7)
    assert len(asked) == 1


SOURCE = """
class Net:
    def plain(self, x):
        return F.dropout(x, 0.5)
    def told(self, x):
        return F.dropout(x, 0.5, training=self.training)
    def positional(self, x):
        return F.dropout(x, 0.5, self.training)
    def under(self, x):
        if self.training:
            x = F.dropout(x, 0.5)
        return x
    def early(self, x):
        if not self.training:
            return x
        return F.dropout(x, 0.5)
    def noise(self, x):
        return F.dropout(x, 0.5)
    def forward(self, x):
        return self.noise(x) if self.training else x
    def fresh(self, x):
        return nn.Dropout(0.5).train(self.training)(x)
"""


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str], tuple[str, int]]:
    """Where a text stands in the source above: the file, and the line of the last dropout of a method."""
    file = tmp_path / "net.py"
    file.write_text(SOURCE)

    def find(method: str) -> tuple[str, int]:
        lines = SOURCE.split("\n")
        start = next(i for i, text in enumerate(lines) if f"def {method}(" in text)
        return str(file), next(i + 1 for i in range(start + 1, len(lines)) if "ropout" in lines[i])

    return find


@pytest.mark.parametrize(("method", "expected"), [("plain", False), ("told", True), ("positional", True)])
def test_passes_reads_the_call(source: Callable[[str], tuple[str, int]], method: str, expected: bool) -> None:
    assert passes(*source(method), "dropout") is expected


@pytest.mark.parametrize(("method", "expected"), [("plain", False), ("under", True), ("early", True), ("noise", True)])
def test_guarded_reads_the_conditions(source: Callable[[str], tuple[str, int]], method: str, expected: bool) -> None:
    assert guarded(*source(method)) is expected


@pytest.mark.parametrize(("method", "expected"), [("plain", False), ("fresh", True)])
def test_sets_mode_reads_train_and_eval(source: Callable[[str], tuple[str, int]], method: str, expected: bool) -> None:
    assert sets_mode(*source(method)) is expected


def test_source_that_is_not_there_excuses() -> None:
    assert passes("nowhere.py", 3, "dropout")
