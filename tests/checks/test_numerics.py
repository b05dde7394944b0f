"""The checks of numbers, and where NaN and Inf come from, on hand-written evidence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.numerics.not_finite import not_finite
from smokestep.checks.numerics.out_of_range import out_of_range
from smokestep.checks.numerics.unreachable_target import unreachable_target
from smokestep.evidence.flow import Backward, Flow, Graph, Op, Value
from smokestep.evidence.losses import LossCall, Losses, Operand
from smokestep.evidence.nonfinite import not_finite_in
from smokestep.evidence.numbers import NotFinite, Numbers, Output
from smokestep.evidence.steps import Event, Movement, Steps
from smokestep.findings import Finding, Line, NotApplicable, Severity

HERE, MADE = Line("train.py", 9, "loss = ..."), Line("net.py", 5, "return ...")
NAN, INF = math.nan, math.inf


def chain(*names: str, peaks: tuple[float | None, ...], gradients: tuple[float | None, ...] = ()) -> Graph:
    """Value 0 is data, every op reads the value before and makes the next; the last value is the root."""
    values = {
        number: Value(
            number, 0, "made" if number else "input", op=number - 1 if number else None, peak=peak, gradient=gradient
        )
        for number, (peak, gradient) in enumerate(zip(peaks, (*gradients, *[None] * len(peaks)), strict=False))
    }
    ops = tuple(Op(number, 0, name, (number,), (number + 1,), line=MADE) for number, name in enumerate(names))
    return Graph(0, values, ops, (Backward(0, (len(names),), HERE, ("w",)),))


def run(loss: float = 1.0, gradient: float = 0.1, scale: float = 1.0, *, skipped: bool = False) -> Steps:
    events = (
        Event(0, 0, "backward", HERE, parameters=("w",), detail={"loss": loss}),
        Event(1, 0, "update", HERE, detail={"skipped": skipped}),
    )
    return Steps(1, events, (), (Movement(0, "w", gradient, gradient, 0.1, scale),), (), (loss,))


def told(graph: Graph, steps: Steps) -> list[NotFinite]:
    return list(not_finite_in(graph, steps))


def test_the_first_op_that_made_it_is_named_and_not_those_after_it():
    (one,) = told(chain("linear", "log", "mean", peaks=(None, 1.0, INF, INF)), run(INF, NAN))
    assert (one.op, one.direction, one.kind, one.harmful, one.line) == ("log", "forward", "inf", True, MADE)
    assert "logarithm" in one.detail


def test_an_attention_mask_does_no_harm_and_a_row_of_nothing_else_is_told_at_the_softmax():
    assert not told(
        chain("linear", "masked_fill", "div", "softmax", "mean", peaks=(None, 1.0, INF, INF, 1.0, 0.5)), run()
    )
    (one,) = told(chain("linear", "masked_fill_", "softmax", "mean", peaks=(None, 1.0, INF, NAN, NAN)), run(NAN, NAN))
    assert one.op == "softmax" and one.harmful and "-inf throughout" in one.detail


def test_a_mask_in_the_batch_is_no_broken_batch():
    graph = chain("add", "softmax", "exp", peaks=(INF, INF, 1.0, INF))
    graph = replace(graph, values={**graph.values, 0: replace(graph.values[0], name="batch[1]")})
    (one,) = told(graph, run(INF, NAN))
    assert one.op == "exp" and not one.inputs


def test_a_parameter_that_exploded_is_named():
    graph = chain("linear", "mean", peaks=(1.0, INF, INF))
    graph = replace(graph, step=1, values={**graph.values, 0: replace(graph.values[0], kind="parameter", name="w")})
    steps = run(INF, NAN)
    moves = (replace(steps.movements[0], received=0.1, update=1e30), replace(steps.movements[0], step=1))
    (one,) = told(graph, replace(steps, movements=moves))
    assert "moved w by 1.0e+30" in one.detail


def test_an_update_that_breaks_a_finite_gradient_is_told():
    steps = run()
    steps = replace(steps, movements=(replace(steps.movements[0], update=NAN),))
    (one,) = told(chain("linear", "mean", peaks=(1.0, 1.0, 1.0)), steps)
    assert one.op == "step" and "w" in one.detail and one.line == HERE


def test_a_gradient_that_breaks_on_the_way_back_is_told_at_its_op():
    graph = chain("linear", "sqrt", "mean", peaks=(None, 0.0, 0.0, 0.0), gradients=(None, INF, 0.1, 1.0))
    (one,) = told(graph, run(0.0, NAN))
    assert (one.op, one.direction, one.kind, one.harmful) == ("sqrt", "backward", "inf", True)


def test_a_gradient_that_breaks_unseen_names_the_parameter():
    (one,) = told(chain("linear", "mean", peaks=(None, 1.0, 1.0)), run(1.0, NAN))
    assert one.op == "" and one.line == HERE and "w" in one.detail


def test_what_was_not_finite_from_the_start_is_said():
    graph = chain("linear", "mean", peaks=(NAN, NAN, NAN))
    graph = replace(graph, values={**graph.values, 0: replace(graph.values[0], name="batch[0]")})
    (one,) = told(graph, run(NAN, NAN))
    assert one.inputs == "batch[0]" and one.harmful
    (one,) = told(chain("linear", "mean", peaks=(None, NAN, NAN)), run(NAN, NAN, scale=NAN))
    assert one.inputs == "w"


def test_what_came_in_through_operations_that_nobody_measured_is_the_fault_of_the_data():
    (one,) = told(chain("__getitem__", "linear", "mean", peaks=(NAN, None, NAN, NAN)), run(NAN, NAN))
    assert "data" in one.inputs and one.harmful
    (one,) = told(chain("nan_to_num", "log", "mean", peaks=(NAN, None, NAN, NAN)), run(NAN, NAN))
    assert one.op == "log" and not one.inputs


def test_a_step_that_the_gradient_scaler_skipped_did_no_harm():
    graph = chain("linear", "mean", "mul", peaks=(None, 1.0, 1.0, INF))
    assert not any(each.harmful for each in told(graph, run(INF, INF, skipped=True)))
    graph = chain("linear", "mean", "mul", peaks=(None, 1.0, NAN, NAN))
    assert any(each.harmful for each in told(graph, run(NAN, NAN, skipped=True)))


def test_a_loop_that_leaves_such_steps_out_by_itself_or_cleans_them_is_not_blamed():
    graph = chain("linear", "log", "mean", peaks=(1.0, 1.0, INF, INF), gradients=(None, NAN, 0.1, 1.0))
    graph = replace(graph, values={**graph.values, 0: replace(graph.values[0], kind="parameter", name="w")})
    left_out = replace(
        run(INF, 0.0), movements=(replace(run().movements[0], gradient=None, update=0.0),), events=run(INF).events
    )
    elsewhere = replace(left_out, events=(left_out.events[0], replace(left_out.events[1], step=1)))
    cleaned = run(INF, 0.0)
    assert not any(each.harmful for steps in (elsewhere, cleaned) for each in told(graph, steps))
    assert any(each.harmful for each in told(graph, replace(elsewhere, events=elsewhere.events[:1])))


def test_finite_numbers_say_nothing_and_a_lost_loss_is_always_told():
    assert not told(chain("linear", "mean", peaks=(None, 1.0, 1.0)), run())
    (one,) = told(chain("opaque", "mean", peaks=(None, None, None)), replace(run(NAN, 0.1), events=run(NAN).events[:1]))
    assert one.harmful and "loss itself" in one.detail


def found(check: Any, *evidence: Any) -> list[Finding]:
    return [said for said in check.judge(*evidence) if isinstance(said, Finding)]


def test_only_the_first_harmful_one_is_reported():
    harmless = NotFinite(0, "forward", "masked_fill", MADE, harmful=False)
    first, later = NotFinite(1, "forward", "log", MADE), NotFinite(2, "forward", "", None, inputs="w")
    (one,) = found(not_finite, Numbers((harmless, first, later)))
    assert "`log`" in one.message and one.cause == MADE
    assert not found(not_finite, Numbers((harmless,)))


# out-of-range


@pytest.mark.parametrize(
    ("low", "high", "promised", "count"),
    [
        (-0.1, 0.5, (0.0, 1.0), 1),
        (0.0, 1.5, (0.0, 1.0), 1),
        (0.0, 1.0000001, (0.0, 1.0), 0),
        (-5.0, 0.5, (None, 1.0), 0),
        (0.1, 900.0, (0.0, None), 0),
    ],
)
def test_a_promised_range_is_held(low: float, high: float, promised: tuple[float | None, float | None], count: int):
    output = Output(0, "net", 0, 5, low, high, promised, "linear", MADE)
    assert len(found(out_of_range, Numbers(outputs=(output, replace(output, step=1))))) == count


def test_without_a_promise_there_is_nothing_to_hold():
    assert [type(each) for each in out_of_range.judge(Numbers(outputs=(Output(0, "net", 0, 5, -9, 9),)))] == [
        NotApplicable
    ]


# unreachable-target

FLOW = Flow((chain("linear", "relu", "mse_loss", peaks=(None, 1.0, 1.0, 1.0)),))


def call(name: str, maker: str, low: float, high: float, **more: Any) -> LossCall:
    prediction = Operand(2, (8, 1), "float32", 0.0, 0.9, True, maker=maker, maker_line=MADE)
    target = Operand(0, (8, 1), "float32", low, high, False)
    return LossCall(0, name, prediction, target, 3, 1.0, line=HERE, caller=HERE, **more)


@pytest.mark.parametrize(
    ("seen", "severity"),
    [
        (call("mse_loss", "relu", -2.0, 2.0), None),
        (call("l1_loss", "sigmoid", 0.0, 150.0), None),
        (call("huber_loss", "tanh", -4.0, 4.0), None),
        (call("binary_cross_entropy_with_logits", "relu", 0.0, 1.0), None),
        (call("cross_entropy", "relu", 0.0, 3.0, classes=4), Severity.SUSPICION),
        (call("mse_loss", "softplus", -2.0, 2.0), Severity.SUSPICION),
        (call("mse_loss", "relu", -2.0, 2.0, weighted=True), Severity.SUSPICION),
    ],
)
def test_targets_out_of_reach_are_told_at_the_activation(seen: LossCall, severity: Severity | None):
    (one,) = found(unreachable_target, Losses((seen,)), FLOW)
    assert (one.severity, one.cause) == (severity, MADE)


@pytest.mark.parametrize(
    "seen",
    [
        call("mse_loss", "relu", 0.0, 9.0),
        call("mse_loss", "relu", -0.01, 9.0),
        call("mse_loss", "sigmoid", 0.0, 1.0),
        call("mse_loss", "tanh", -1.0, 1.0),
        call("mse_loss", "linear", -9.0, 9.0),
        call("mse_loss", "sigmoid", -1.0, 1.0, reduction="none"),
        call("binary_cross_entropy_with_logits", "relu", 1.0, 1.0),
        call("binary_cross_entropy", "sigmoid", 0.0, 1.0),
        call("kl_div", "log_softmax", 0.0, 1.0),
        call("cross_entropy", "softplus", 0.0, 3.0, classes=4),
    ],
)
def test_targets_within_reach_pass(seen: LossCall):
    assert not found(unreachable_target, Losses((seen,)), FLOW)


def test_what_another_network_says_may_be_out_of_reach_on_purpose():
    graph = FLOW.graphs[0]
    taught = Flow((replace(graph, values={**graph.values, 0: replace(graph.values[0], kind="parameter")}),))
    (one,) = found(unreachable_target, Losses((call("mse_loss", "relu", -2.0, 2.0),)), taught)
    assert one.severity is Severity.SUSPICION
