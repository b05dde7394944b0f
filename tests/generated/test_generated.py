"""Random small trainings: a right one gives no finding, one with a fault is caught on the line that was broken.

A failing example prints its report and its source. `make generated` draws many more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .examined import examined, loaded
from .faults import FAULTS
from .programs import Program, seeded, write
from .sweep import Drawn, judged, page

T = TypeVar("T")
PHASES = (Phase.generate,)  # add Phase.shrink to reduce a failure: that takes minutes
HEALTHY, BROKEN, RUN = (
    settings(
        phases=PHASES,
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    for count in (16, 2, 2)
)


@st.composite
def programs(draw: st.DrawFn, fault: str = "") -> Program:
    """A program with this fault, or none; every choice is Hypothesis's."""

    def pick(options: Sequence[T], /) -> T:
        return draw(st.sampled_from(options))

    return write(pick, fault)


@HEALTHY
@given(programs())
def test_a_right_training_gives_no_finding(program: Program) -> None:
    outcome = examined(program)
    assert outcome.report.findings == () and outcome.report.error is None, str(outcome)


@pytest.mark.parametrize("fault", FAULTS)
@BROKEN
@given(data=st.data())
def test_a_fault_is_caught_on_its_line(fault: str, data: st.DataObject) -> None:
    outcome = examined(data.draw(programs(fault)))
    assert outcome.detected and outcome.named, str(outcome)
    assert outcome.other_defects == (), str(outcome)
    layer = "" if FAULTS[fault].check in LEAKS else outcome.program.layer
    assert not layer or any(layer in name for name in outcome.subjects), str(outcome)


# ── the programs themselves ────────────────────────────────────────────────────────────────────────────────────
def ran(program: Program, steps: int = 3) -> tuple[Any, torch.Tensor, list[float], bool]:
    """The model, the input, the losses, and whether anything moved, after running a program without smokestep."""
    with loaded(program) as module:
        torch.manual_seed(0)
        models: list[Any] = []
        build = module.Net
        module.Net = lambda: models.append(build()) or models[-1]
        training = module.training()
        (step,) = training.steps.values()
        before = [each.detach().clone() for each in models[0].parameters()]
        losses = [float(step(training.batch)) for _ in range(steps)]
        moved = any(not torch.equal(old, new) for old, new in zip(before, models[0].parameters(), strict=True))
    x = training.batch if program.task == "next" else training.batch[0]
    return models[0].eval(), x[:, :-1] if program.task == "next" else x, losses, moved


def leaks(model: Any, x: torch.Tensor, dimension: int) -> bool:
    """Whether other samples' results depend on the first sample (0), or earlier positions' on the last position (1)."""
    other = x.clone()
    entry = other.select(dimension, -dimension)
    entry.copy_(entry % 9 + 1 if entry.dtype == torch.int64 else entry + 1.0)
    with torch.no_grad():
        one, two = (model(each).narrow(dimension, 1 - dimension, x.shape[dimension] - 1) for each in (x, other))
    return not torch.allclose(one, two, atol=1e-6)


LEAKS = {"batch-leak": 0, "future-leak": 1, "unshifted-target": None}


@pytest.mark.parametrize("fault", [fault for fault, told in FAULTS.items() if told.check in LEAKS])
@RUN
@given(data=st.data())
def test_a_program_that_leaks_runs_trains_and_leaks(fault: str, data: st.DataObject) -> None:
    program = data.draw(programs(fault))
    model, x, losses, moved = ran(program)
    assert all(map(math.isfinite, losses)) and moved and program.marked, program.numbered
    dimension = LEAKS[FAULTS[fault].check]
    assert dimension is None or leaks(model, x, dimension), program.numbered


@settings(HEALTHY, max_examples=10)
@given(programs())
def test_a_right_program_leaks_nothing(program: Program) -> None:
    model, x, losses, moved = ran(program)
    assert all(map(math.isfinite, losses)) and moved and not program.marked, program.numbered
    assert not leaks(model, x, 0), program.numbered
    assert program.task != "next" or not leaks(model, x, 1), program.numbered


def test_the_same_number_gives_the_same_program() -> None:
    assert all(seeded(1, fault, 7) == seeded(1, fault, 7) for fault in FAULTS)
    assert seeded(1, "", 7) != seeded(1, "", 8) and seeded(1, "", 7) != seeded(2, "", 7)


def test_every_fault_leaves_its_mark_and_no_other_program_has_one() -> None:
    for number in range(20):
        assert not seeded(0, "", number).marked
        assert [fault for fault in FAULTS if not seeded(0, fault, number).marked] == []


def test_every_kind_of_program_is_drawn() -> None:
    sources = "\n".join(seeded(3, "", number).source for number in range(300))
    wanted = """
        nn.Linear( nn.Conv1d( nn.Conv2d( nn.Bilinear( nn.Embedding( nn.EmbeddingBag( nn.LazyLinear( nn.GRU( nn.LSTM(
        nn.MultiheadAttention( nn.TransformerEncoderLayer( scaled_dot_product_attention( torch.softmax( nn.BatchNorm1d(
        nn.BatchNorm2d( nn.LayerNorm( nn.GroupNorm( nn.InstanceNorm1d( nn.InstanceNorm2d( nn.RMSNorm( nn.Dropout(
        F.dropout( torch.zeros(1)) nn.init.zeros_ masked_fill( torch.triu( torch.tril( is_causal=True F.pad( _mask=pad
        pack_padded_sequence( batch_first=True .transpose(0, self.embed.weight nn.ModuleList( nn.Sequential(Block
        block0( def closure(): def fit( F.cross_entropy( F.nll_loss( F.mse_loss( F.smooth_l1_loss(
        nn.BCEWithLogitsLoss()
        ignore_index=0 -100 SGD( Adam( AdamW( RMSprop( momentum=0.9 weight_decay= lr_scheduler. clip_grad_norm_ chunk(2)
        autocast( groups= stride=2
    """.split()
    assert [each for each in wanted if each not in sources] == []


def test_the_page_tells_what_was_not_as_promised() -> None:
    rows = [judged(Drawn(0, "detach", "", 0)), judged(Drawn(0, "", "regress", 0))]
    assert "Not as promised" not in page(rows, 0)
    rows = [replace(rows[0], named=False), replace(rows[1], defects=("no-step",))]
    assert "- `detach` 0: another line\n- `regress` 0: no-step\n" in page(rows, 0)
    assert page(rows, 0).splitlines()[-1] == "- `regress` 0: no-step"
