"""The checks of the loss, on hand-written evidence: what each finds, and the look-alikes that it must let pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.loss.broadcast_loss import broadcast_loss
from smokestep.checks.loss.clipped_logits import clipped_logits
from smokestep.checks.loss.constant_loss import constant_loss
from smokestep.checks.loss.detached_loss import detached_loss
from smokestep.checks.loss.double_softmax import double_softmax
from smokestep.checks.loss.high_initial_loss import high_initial_loss
from smokestep.checks.loss.ignored_target import ignored_target
from smokestep.checks.loss.invalid_target import invalid_target
from smokestep.checks.loss.inverted_loss import inverted_loss
from smokestep.checks.loss.missing_log_softmax import missing_log_softmax
from smokestep.checks.loss.mixed_reductions import mixed_reductions
from smokestep.checks.loss.negative_cross_entropy import negative_cross_entropy
from smokestep.checks.loss.single_logit import single_logit
from smokestep.checks.loss.target_gradient import target_gradient
from smokestep.checks.loss.unpaired_target import unpaired_target
from smokestep.checks.loss.unread_samples import unread_samples
from smokestep.checks.loss.wrong_softmax_dim import wrong_softmax_dim
from smokestep.evidence.flow import Backward, Call, Flow, Graph, Op, Value
from smokestep.evidence.losses import LossCall, Losses, Operand
from smokestep.evidence.relations import Related, Relations, Where
from smokestep.evidence.steps import Event, Group, Movement, Optimizer, Steps
from smokestep.findings import Finding, Line, NotApplicable, Severity

HERE, MADE = Line("train.py", 9, "loss = ..."), Line("net.py", 5, "return ...")


def graph(*ops: Op, root: int, **kinds: Any) -> Graph:
    """The graph of these ops: what no op makes is an input unless `kinds` says otherwise (`v3="parameter"`)."""
    values: dict[int, Value] = {}
    for op in ops:
        for value in op.reads:
            if value not in values:
                kind = kinds.get(f"v{value}", "input")
                values[value] = Value(
                    value, 0, kind, f"batch[{value}]" if kind == "input" else f"p{value}", shape=(8, 3)
                )
        for value in op.makes:
            trains = op.grad and any(
                values[read].kind == "parameter" or values[read].requires_grad for read in op.reads
            )
            values[value] = Value(value, 0, "made", op=op.id, shape=(8, 3), requires_grad=trains, gradient=0.1)
    return Graph(0, values, ops, (Backward(0, (root,), HERE, ("w",)),))


def op(number: int, name: str, reads: tuple[int, ...], made: int, **more: Any) -> Op:
    return Op(number, 0, name, reads, (made,), line=more.pop("line", HERE), **more)


# 1: data, 2: target, 3: weight; 5: prediction, 6: loss
PLAIN = graph(op(0, "linear", (1, 3), 5, line=MADE), op(1, "cross_entropy", (5, 2), 6), root=6, v3="parameter")
FLOW = Flow((PLAIN,))


def operand(
    value: int = 5, shape: tuple[int, ...] = (8, 3), low: float = -2.0, high: float = 2.0, **more: Any
) -> Operand:
    maker = more.pop("maker", "linear" if value == 5 else "")
    return Operand(
        value, shape, more.pop("dtype", "float32"), low, high, more.pop("requires_grad", value == 5),
        maker=maker, maker_line=MADE if maker else None, **more,
    )  # fmt: skip


LABELS = operand(2, (8,), 0, 2, dtype="int64", integral=True)


def loss(
    name: str = "cross_entropy", prediction: Operand | None = None, target: Operand | None = LABELS, **more: Any
) -> LossCall:
    classed = name in ("cross_entropy", "nll_loss")
    more = {"classes": 3 if classed else None, "class_dim": 1 if classed else None, "loss": 1.0, **more}
    return LossCall(0, name, prediction or operand(), target, 6, line=HERE, caller=HERE, gradient=0.1, sign=1, **more)  # type: ignore[arg-type]


def found(check: Any, *evidence: Any) -> list[Finding]:
    return [said for said in check.judge(*evidence) if isinstance(said, Finding)]


def silent(check: Any, *evidence: Any) -> bool:
    return not found(check, *evidence)


def calls(*each: LossCall) -> Losses:
    return Losses(each)


def test_losses_that_train_nothing_are_not_judged():
    shown = loss("nll_loss", operand(high=3.0, exp_rows=(0.2, 9.0)))
    assert found(missing_log_softmax, calls(shown))
    assert silent(missing_log_softmax, calls(replace(shown, reaches_root=False)))
    assert silent(missing_log_softmax, calls(replace(shown, grad=False)))


@pytest.mark.parametrize(
    "check", [double_softmax, wrong_softmax_dim, single_logit, target_gradient, ignored_target, broadcast_loss]
)
def test_without_a_loss_there_is_nothing_to_say(check: Any):
    said = list(check.judge(Losses(()), Flow(())))
    assert [type(each) for each in said] == [NotApplicable]


# single-logit


def test_a_single_class_is_told_at_the_loss_and_a_softmax_over_one_unit_at_the_softmax():
    (one,) = found(single_logit, calls(loss(prediction=operand(shape=(8, 1)), classes=1)), FLOW)
    assert one.cause == HERE and "single entry" in one.message
    softmax = operand(shape=(8, 1), maker="softmax", maker_dim=1, maker_size=1)
    (one,) = found(single_logit, calls(loss("mse_loss", softmax)), FLOW)
    assert one.cause == MADE


def test_several_classes_or_one_of_several_heads_or_candidates_of_one_sample_pass():
    assert silent(single_logit, calls(loss()), FLOW)
    heads = calls(loss(prediction=operand(shape=(8, 1)), classes=1), loss())
    assert silent(single_logit, heads, FLOW)
    assert silent(single_logit, calls(loss(prediction=operand(7, shape=(1, 1)), classes=1)), Flow((graph(root=1),)))


# double-softmax


def test_a_softmax_before_cross_entropy_is_told_with_the_floor():
    given = operand(low=0.1, high=0.8, maker="softmax", rows=(1.0, 1.0))
    (one,) = found(double_softmax, calls(loss(prediction=given)), FLOW)
    assert one.cause == MADE and one.severity is None and "0.55" in one.message


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("cross_entropy", operand()),
        ("cross_entropy", operand(maker="log_softmax", rows=(-9.0, -3.0))),
        ("cross_entropy", operand(maker="softmax", rows=(0.3, 2.5))),
        ("cross_entropy", operand(maker="div", low=-1, high=1, rows=(0.2, 1.9))),
        ("binary_cross_entropy_with_logits", operand(maker="linear", low=0, high=1)),
        ("binary_cross_entropy", operand(maker="sigmoid", low=0, high=1)),
        ("nll_loss", operand(maker="log_softmax", exp_rows=(1.0, 1.0))),
    ],
)
def test_plain_scores_and_idempotent_softmaxes_pass(name: str, given: Operand):
    assert silent(double_softmax, calls(loss(name, given)), FLOW)


def test_rows_that_look_like_probabilities_are_a_suspicion():
    (one,) = found(
        double_softmax, calls(loss(prediction=operand(low=0.0, high=0.9, maker="div", rows=(1.0, 1.0)))), FLOW
    )
    assert one.severity is Severity.SUSPICION


def test_a_softmax_of_probabilities_is_certain_for_nll_and_a_suspicion_for_maps_compared_by_kl_div():
    flow = Flow(
        (graph(op(0, "softmax", (1,), 4), op(1, "log_softmax", (4,), 5), op(2, "nll_loss", (5, 2), 6), root=6),)
    )
    for name, severity in (("nll_loss", None), ("kl_div", Severity.SUSPICION)):
        (one,) = found(double_softmax, calls(loss(name, operand(maker="log_softmax"))), flow)
        assert one.severity is severity and "`log_softmax` follows" in one.message


def test_a_fault_inside_an_installed_package_is_a_suspicion():
    package = Line("site-packages/lib.py", 3, installed=True)
    given = replace(operand(low=0.1, high=0.8, maker="softmax", rows=(1.0, 1.0)), maker_line=package)
    (one,) = found(double_softmax, calls(replace(loss(prediction=given), line=package)), FLOW)
    assert one.severity is Severity.SUSPICION


# missing-log-softmax


@pytest.mark.parametrize(
    ("given", "severity"),
    [
        (operand(maker="linear", exp_rows=(0.5, 20.0)), None),
        (operand(maker="softmax", low=0.1, high=0.8, exp_rows=(3.1, 4.0)), None),
        (operand(maker="add", exp_rows=(0.5, 20.0)), Severity.SUSPICION),
    ],
)
def test_scores_and_probabilities_are_no_log_probabilities(given: Operand, severity: Severity | None):
    (one,) = found(missing_log_softmax, calls(loss("nll_loss", given)))
    assert one.severity == severity and one.cause == HERE


@pytest.mark.parametrize(
    "given",
    [
        operand(maker="log_softmax", low=-5, high=-0.1, exp_rows=(1.0, 1.0)),
        operand(maker="log", low=-5, high=0.0, exp_rows=(0.99, 1.01)),
        operand(maker="matmul", low=-9, high=-0.5, exp_rows=(0.1, 0.4)),
        operand(maker="log_softmax", low=-9, high=-0.5, exp_rows=(0.4, 0.8)),
    ],
)
def test_log_probabilities_of_any_make_pass(given: Operand):
    assert silent(missing_log_softmax, calls(loss("nll_loss", given)))


# wrong-softmax-dim


def test_a_log_softmax_over_the_batch_is_told():
    flow = Flow((graph(op(0, "log_softmax", (1,), 5), op(1, "nll_loss", (5, 2), 6), root=6),))
    given = operand(maker="log_softmax", low=-5, high=-0.1, exp_rows=(0.3, 0.6), maker_dim=0, maker_size=8)
    (one,) = found(wrong_softmax_dim, calls(loss("nll_loss", given)), flow)
    assert one.severity is None and one.cause == MADE


def test_the_right_dimension_and_a_subset_of_its_classes_pass():
    given = operand(maker="log_softmax", low=-5, high=-0.1, exp_rows=(1.0, 1.0), maker_dim=1, maker_size=3)
    assert silent(wrong_softmax_dim, calls(loss("nll_loss", given)), FLOW)
    picked = Flow(
        (graph(op(0, "log_softmax", (1,), 4), op(1, "__getitem__", (4,), 5), op(2, "nll_loss", (5, 2), 6), root=6),)
    )
    subset = replace(given, exp_rows=(0.4, 0.8), maker_size=9)
    assert silent(wrong_softmax_dim, calls(loss("nll_loss", subset)), picked)


# broadcast-loss


@pytest.mark.parametrize(
    ("first", "second", "mixed"),
    [
        ((8,), (8, 1), True),
        ((8, 1), (8,), True),
        ((8, 1), (8, 1), False),
        ((8, 3), (3,), False),
        ((8, 1), (1,), False),
        ((1,), (1, 1), False),
        ((8, 1), (1, 8), False),
        ((8, 1), (), False),
        ((4, 1, 3), (5, 3), False),
    ],
)
def test_only_shapes_that_mix_the_samples_are_told(first: tuple[int, ...], second: tuple[int, ...], mixed: bool):
    call = loss("mse_loss", operand(shape=first), operand(2, shape=second))
    assert bool(found(broadcast_loss, calls(call), Flow(()))) is mixed


def by_hand(*after: str, arranged: bool = False) -> Flow:
    ops = [op(0, "linear", (1, 3), 4), op(1, "unsqueeze" if arranged else "linear", (4,) if arranged else (1, 3), 5)]
    ops.append(op(2, "sub", (5, 2), 6))
    ops += [op(3 + step, name, (6 + step,), 7 + step) for step, name in enumerate(after)]
    flow = graph(*ops, root=6 + len(after), v3="parameter")
    shaped = {**flow.values, 5: replace(flow.values[5], shape=(8, 1)), 2: replace(flow.values[2], shape=(8,))}
    return Flow((replace(flow, values=shaped),))


def test_a_squared_difference_by_hand_is_certain_and_others_are_suspicions():
    (one,) = found(broadcast_loss, calls(), by_hand("pow", "mean"))
    assert one.severity is None
    for flow in (by_hand("abs", "mean"), by_hand("pow", "min", "mean"), by_hand("pow", "mean", arranged=True)):
        (one,) = found(broadcast_loss, calls(), flow)
        assert one.severity is Severity.SUSPICION


def test_a_layer_that_measures_distances_to_its_centres_is_no_loss():
    flow = by_hand("pow").graphs[0]
    layer = replace(flow, ops=(*flow.ops, op(9, "linear", (7, 3), 9)), backwards=(Backward(0, (9,), HERE, ("w",)),))
    layer = replace(layer, values={**layer.values, 9: Value(9, 0, "made", op=9, requires_grad=True)})
    assert silent(broadcast_loss, calls(), Flow((layer,)))


# constant-loss


def history(*losses: float, gradient: float = 0.0, update: float = 0.0) -> Steps:
    events = tuple(
        Event(step, step, "backward", HERE, parameters=("w",), detail={"loss": each})
        for step, each in enumerate(losses)
    )
    moves = tuple(Movement(step, "w", gradient, gradient, update, 1.0) for step, _ in enumerate(losses))
    return Steps(len(losses), events, (), moves, (), losses)


FLOAT = Flow((replace(PLAIN, values={**PLAIN.values, 6: replace(PLAIN.values[6], dtype="float32")}),))


@pytest.mark.parametrize(
    ("steps", "severity"),
    [
        (history(0.5, 0.5, 0.5), None),
        (history(0.0, 0.0, 0.0), Severity.SUSPICION),
        (history(1.0, 1.0, 1.0, gradient=1e-9, update=1e-3), Severity.SUSPICION),
    ],
)
def test_a_loss_that_stands_still_is_told(steps: Steps, severity: Severity | None):
    (one,) = found(constant_loss, steps, FLOAT)
    assert one.severity == severity


@pytest.mark.parametrize(
    "steps",
    [
        history(0.5, 0.49, 0.48, gradient=0.1, update=1e-3),
        history(0.5, 0.5, 0.5, gradient=0.1, update=0.0),
        history(0.5, 0.5, 0.5, gradient=0.1, update=1e-9),
        history(2.0, 2.0, 2.0, gradient=0.1, update=1e-3),
        history(0.5, 0.6, 0.5),
        history(0.5),
    ],
)
def test_a_loss_that_moves_or_that_nothing_moved_passes(steps: Steps):
    assert silent(constant_loss, steps, FLOAT)


def test_a_term_that_is_off_beside_a_loss_that_trains_passes():
    off, on = history(0.0, 0.0), history(0.5, 0.4, gradient=0.1, update=1e-3)
    line = Line("train.py", 20)
    events = [replace(each, index=9, line=line, parameters=("v",)) for each in on.events]
    moves = [replace(each, parameter="v") for each in on.movements]
    both = replace(off, events=(*off.events, *events), movements=(*off.movements, *moves))
    second = replace(FLOAT.graphs[0], backwards=(*FLOAT.graphs[0].backwards, Backward(9, (6,), line)))
    assert silent(constant_loss, both, Flow((second,)))


# detached-loss


def rewrapped(*, depends: bool = True) -> Flow:
    first = op(0, "linear", (1, 3) if depends else (1,), 5)
    flow = graph(
        first, op(1, "mean", (5,), 6), op(2, "item", (6,), 7), op(3, "tensor", (7,), 8), root=8, v3="parameter"
    )
    values = {**flow.values, 7: replace(flow.values[7], requires_grad=False)}
    values[8] = replace(values[8], requires_grad=True, shape=())
    return Flow((replace(flow, values=values, backwards=(Backward(0, (8,), HERE),)),))


def test_a_root_made_of_a_number_is_told_and_a_constant_is_not():
    (one,) = found(detached_loss, calls(), rewrapped(), world())
    assert one.severity is None and one.cause == HERE
    assert silent(detached_loss, calls(), rewrapped(depends=False), world())
    assert silent(detached_loss, calls(), FLOW, world())


def test_a_term_added_as_a_number_is_told_unless_it_trains_elsewhere():
    ops = [
        op(0, "linear", (1, 3), 5), op(1, "mse_loss", (5, 2), 6), op(2, "item", (6,), 7),
        op(3, "linear", (1, 3), 8), op(4, "add", (8, 7), 9),
    ]  # fmt: skip
    flow = graph(*ops, root=9, v3="parameter")
    flow = replace(flow, values={**flow.values, 7: replace(flow.values[7], requires_grad=False)})
    call = loss("mse_loss")
    (one,) = found(detached_loss, calls(call), Flow((flow,)), world())
    assert "contributes no gradient" in one.message and one.severity is Severity.SUSPICION
    both = replace(flow, backwards=(*flow.backwards, Backward(1, (6,), HERE, ("w",))))
    assert silent(detached_loss, calls(call), Flow((both,)), world())


def test_a_leaf_with_the_number_of_the_loss_is_that_loss():
    leaf = Value(8, 0, "leaf", shape=(), requires_grad=True)
    flow = Flow((replace(PLAIN, values={**PLAIN.values, 8: leaf}, backwards=(Backward(0, (8,), HERE),)),))
    steps = replace(world(), events=(Event(0, 0, "backward", HERE, detail={"loss": 1.0}),))
    assert found(detached_loss, calls(loss(loss=1.0, reaches_root=False)), flow, steps)
    assert silent(detached_loss, calls(loss(loss=2.0, reaches_root=False)), flow, steps)


# target-gradient


def test_a_target_that_trains_is_a_suspicion_and_a_twin_is_not():
    bootstrapped = graph(
        op(0, "linear", (1, 3), 5), op(1, "linear", (9, 3), 7), op(2, "add", (7, 2), 8), op(3, "mse_loss", (5, 8), 6),
        root=6, v3="parameter",
    )  # fmt: skip
    call = loss("mse_loss", target=operand(8, maker="add", requires_grad=True))
    assert found(target_gradient, calls(call), Flow((bootstrapped,)))
    twin = loss("mse_loss", target=operand(7, maker="linear", requires_grad=True))
    assert silent(target_gradient, calls(twin), Flow((bootstrapped,)))


def test_swapped_arguments_are_told_only_where_order_matters():
    flow = Flow((graph(op(0, "linear", (1, 3), 5), op(1, "kl_div", (2, 5), 6), root=6, v3="parameter"),))
    swapped = loss("kl_div", operand(2, requires_grad=False), operand(5))
    (one,) = found(target_gradient, calls(swapped), flow)
    assert "swapped" in one.message
    assert silent(target_gradient, calls(replace(swapped, name="mse_loss")), flow)


# invalid-target


@pytest.mark.parametrize(
    ("name", "target", "severity"),
    [
        ("binary_cross_entropy_with_logits", operand(2, low=-1, high=1, distinct=2), None),
        ("binary_cross_entropy_with_logits", operand(2, low=0, high=255, distinct=2), None),
        ("binary_cross_entropy_with_logits", operand(2, low=0, high=1 / 255, distinct=2), None),
        ("binary_cross_entropy_with_logits", operand(2, low=0.7, high=1.2), Severity.SUSPICION),
        ("soft_margin_loss", operand(2, low=0, high=1, integral=True), None),
        ("cosine_embedding_loss", operand(2, low=0, high=1, integral=True), None),
        ("kl_div", operand(2, low=-4, high=-0.1, maker="log_softmax"), None),
        ("kl_div", operand(2, low=-4, high=-0.1, maker="sub"), Severity.SUSPICION),
        ("cross_entropy", operand(2, low=0, high=1, rows=(2.0, 3.0)), Severity.SUSPICION),
    ],
)
def test_targets_that_the_loss_does_not_define_are_told(name: str, target: Operand, severity: Severity | None):
    (one,) = found(invalid_target, calls(loss(name, target=target)))
    assert (one.severity, one.cause) == (severity, HERE)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("binary_cross_entropy_with_logits", operand(2, low=0.1, high=0.9)),
        ("binary_cross_entropy_with_logits", operand(2, low=0, high=1, distinct=2)),
        ("soft_margin_loss", operand(2, low=-1, high=1, integral=True)),
        ("cosine_embedding_loss", operand(2, low=1, high=1, integral=True)),
        ("kl_div", operand(2, low=0, high=0.9, maker="softmax")),
        ("cross_entropy", operand(2, low=0, high=1, rows=(0.999, 1.001))),
        ("cross_entropy", LABELS),
        ("mse_loss", operand(2, low=-300, high=900)),
    ],
)
def test_targets_in_order_pass(name: str, target: Operand):
    assert silent(invalid_target, calls(loss(name, target=target)))


def test_missing_labels_that_a_mask_leaves_out_pass():
    target = operand(2, low=-1, high=1, distinct=3)
    masked = loss("binary_cross_entropy_with_logits", target=target, reduction="none")
    assert silent(invalid_target, calls(masked))
    (one,) = found(invalid_target, calls(replace(masked, reduction="mean", weighted=True)))
    assert one.severity is Severity.SUSPICION


def test_ignoring_every_target_in_every_step_is_told():
    nothing = loss(ignored=1.0, ignore_index=-100)
    (one,) = found(invalid_target, calls(nothing, nothing))
    assert one.severity is None
    (one,) = found(invalid_target, calls(replace(nothing, reduction="sum")))
    assert one.severity is Severity.SUSPICION
    assert silent(invalid_target, calls(replace(nothing, reduction="sum"), loss(ignored=0.5)))


# ignored-target


def test_a_prediction_compared_with_itself_is_told_and_with_a_shift_of_itself_is_not():
    itself = graph(
        op(0, "linear", (1, 3), 5), op(1, "detach", (5,), 7), op(2, "mse_loss", (5, 7), 6), root=6, v3="parameter"
    )
    call = loss("mse_loss", target=operand(7, maker="linear"))
    (one,) = found(ignored_target, calls(call), Flow((itself,)))
    assert one.severity is Severity.DEFECT
    ops = tuple(replace(each, name="__getitem__") if each.name == "detach" else each for each in itself.ops)
    used = replace(itself, ops=ops, calls=(Call(0, 0, "", (), (5,)),))
    assert silent(ignored_target, calls(call), Flow((used,)))


def pseudo(*, labelled: bool) -> Flow:
    ops = [op(0, "linear", (1, 3), 5), op(1, "argmax", (5,), 7), op(2, "cross_entropy", (5, 7), 6)]
    ops.append(op(3, "add", (6, 2), 8) if labelled else op(3, "mul", (6,), 8))
    flow = graph(*ops, root=8, v3="parameter")
    label = Value(2, 0, "input", "batch[1]")
    return Flow((replace(flow, values={**flow.values, 2: label}, calls=(Call(0, 0, "", (("x", 1),), (5,)),)),))


def test_a_target_made_of_the_prediction_is_a_suspicion_where_no_label_is_used():
    call = loss(target=operand(7, maker="argmax", dtype="int64"))
    (one,) = found(ignored_target, calls(call), pseudo(labelled=False))
    assert one.severity is Severity.SUSPICION
    assert silent(ignored_target, calls(call), pseudo(labelled=True))


# negative-cross-entropy


def world(*optimizers: Optimizer) -> Steps:
    return Steps(1, (), (), (), optimizers, (1.0,))


ADAM = Optimizer("", "Adam", (Group(("p3",), (0.1,)),))


def test_a_negative_weight_is_certain_and_a_minus_sign_a_suspicion():
    (one,) = found(negative_cross_entropy, calls(loss(loss=-2.0)), FLOW, world(ADAM))
    assert one.severity is None
    (one,) = found(negative_cross_entropy, calls(replace(loss(), sign=-1)), FLOW, world(ADAM))
    assert one.severity is Severity.SUSPICION
    upward = replace(ADAM, groups=(replace(ADAM.groups[0], maximize=True),))
    assert found(negative_cross_entropy, calls(loss()), FLOW, world(upward))


def test_adversaries_pass():
    turned = calls(replace(loss(), sign=-1))
    assert silent(negative_cross_entropy, turned, FLOW, world(ADAM, replace(ADAM, name="critic")))
    assert silent(negative_cross_entropy, turned, FLOW, world(replace(ADAM, groups=(Group(("other",), (0.1,)),))))
    assert silent(negative_cross_entropy, calls(replace(loss(), sign=None)), FLOW, world(ADAM))
    assert silent(negative_cross_entropy, calls(loss("mse_loss", loss=-1.0)), FLOW, world(ADAM))


def test_log_probabilities_by_hand_want_a_minus_sign():
    ops = [op(0, "log_softmax", (3,), 5), op(1, "gather", (5, 2), 6), op(2, "mean", (6,), 7)]
    plus = graph(*ops, root=7, v3="parameter")
    assert found(negative_cross_entropy, calls(), Flow((plus,)), world(ADAM))
    assert silent(
        negative_cross_entropy,
        calls(),
        Flow((graph(*ops, op(3, "neg", (7,), 8), root=8, v3="parameter"),)),
        world(ADAM),
    )
    weighted = graph(*ops[:2], op(2, "mul", (6, 9), 7), op(3, "mean", (7,), 8), root=8, v3="parameter")
    assert silent(negative_cross_entropy, calls(), Flow((weighted,)), world(ADAM))


# ── relations, initial loss, reductions ─────────────────────────────────────────────────────────────────────────────
AT = Where("mean", HERE, HERE)
SEEN = Related("", labels=("batch[1]",), count=8, loss=0.5, root=AT)


def related(check: Any, **fields: Any) -> list[Any]:
    return list(check.judge(Relations((replace(SEEN, **fields),))))


def test_labels_that_can_be_moved_need_a_reason_to_be_told() -> None:
    (told,) = related(unpaired_target, paired=False, reduced=AT)
    assert told.cause == HERE and "moved by a row" in told.message and "`mean`" in told.message
    (told,) = related(unpaired_target, paired=False, linear=AT)
    assert "only added or subtracted" in told.message
    assert related(unpaired_target, paired=False) == []  # a set, a ranking, labels that are all alike
    assert related(unpaired_target, reduced=AT) == []


def test_a_sample_is_unread_where_its_place_is_picked_away() -> None:
    (told,) = related(unread_samples, unread=(7,), picked=AT)
    assert "the last of 8 samples" in told.message
    assert related(unread_samples, unread=(0,)) == []
    assert related(unread_samples, picked=AT) == []


def test_a_loss_is_inverted_if_every_form_of_a_right_answer_says_so() -> None:
    (told,) = related(inverted_loss, right=(0.9, 0.8), wrong=(0.3, 0.2))
    assert told.cause == HERE and "smaller for wrong ones" in told.message
    assert related(inverted_loss, right=(0.9, 0.1), wrong=(0.3, 0.2)) == []
    assert related(inverted_loss, right=(1e-8,), wrong=(0.0,)) == []  # rounding, beside a loss of 0.5


@pytest.mark.parametrize("check", [unpaired_target, unread_samples, inverted_loss], ids=lambda check: check.name)
def test_what_could_not_be_run_again_is_told_with_the_reason(check: Any) -> None:
    assert list(check.judge(Relations(why="watched"))) == [NotApplicable("watched")]
    assert related(check, skipped="one sample") == [NotApplicable("one sample")]


def first(loss: float, at: Graph = PLAIN, **more: Any) -> list[Any]:
    target = more.pop("target", Operand(2, (16,), "int64", 0, 2, False, integral=True))
    known = LossCall(0, "cross_entropy", operand(), target, 6, loss, HERE, HERE, classes=3, class_dim=1, **more)
    return list(high_initial_loss.judge(Losses((known,)), Flow((at,))))


def test_a_first_loss_far_above_guessing_is_told_with_its_layer() -> None:
    (told,) = first(9.0)
    assert told.where.path == "p3" and "would give 1.099" in told.message
    assert first(3.0) == []
    scaled = graph(
        op(0, "linear", (1, 3), 4), op(1, "div", (4,), 5), op(2, "cross_entropy", (5, 2), 6), root=6, v3="parameter"
    )
    assert first(9.0, scaled) == []  # a temperature


@pytest.mark.parametrize(
    "more",
    [
        {"reduction": "sum"},
        {"weighted": True},
        {"target": Operand(2, (4,), "int64", 0, 2, False, integral=True)},
        {"target": Operand(2, (8, 3), "float32", 0.0, 1.0, False)},
    ],
)
def test_a_first_loss_that_theory_says_nothing_of_is_not_judged(more: Any) -> None:
    assert [type(each) for each in first(9.0, **more)] == [NotApplicable]


def terms(weight: float, second: str = "sum", **shape: Any) -> list[Any]:
    """A model's answer, averaged, plus its `second`, multiplied by a weight."""
    made = graph(
        op(0, "linear", (1, 3), 5), op(1, "mean", (5,), 6), op(2, second, (5,), 7),
        op(3, "mul", (7,), 8, args={"1": weight}), op(4, "add", (6, 8), 9), root=9, v3="parameter",
    )  # fmt: skip
    values = {key: replace(value, shape=() if key > 5 else value.shape) for key, value in made.values.items()}
    whole = replace(made, values=values, calls=(Call(0, 0, "net", (("x", 1),), (5,)),))
    return list(mixed_reductions.judge(Flow((whole,)), Losses(())))


def test_a_sum_beside_a_mean_is_told_unless_somebody_weighed_it() -> None:
    (told,) = terms(-0.5)
    assert told.cause == HERE and "twice the batch" in told.message
    assert terms(1 / 16) == [] == terms(0.5, "mean")


def clipped(name: str, loss_name: str = "cross_entropy", *between: str) -> list[Finding]:
    """What is told of scores that went through an activation, and through what is `between` it and the loss."""
    names = ("linear", name, *between, loss_name)
    ops = [op(0, "linear", (1, 3), 10, line=HERE)]
    for number, each in enumerate(names[1:-1]):
        ops.append(op(number + 1, each, (10 + number,), 11 + number, line=MADE))
    last = 9 + len(names) - 1
    drawn = graph(*ops, op(9, loss_name, (last, 2), 6), root=6, v3="parameter")
    call = replace(loss(loss_name, operand(last, maker=names[-2])), step=0)
    return found(clipped_logits, calls(call), Flow((drawn,)))


@pytest.mark.parametrize("name", ["relu", "relu_", "tanh", "sigmoid", "gelu"])
def test_an_activation_before_cross_entropy_is_told_at_its_line(name: str) -> None:
    (one,) = clipped(name)
    assert (one.cause, one.related) == (MADE, ((HERE, "the loss is here"),))


def test_an_activation_before_log_softmax_is_told_too() -> None:
    (one,) = clipped("relu", "nll_loss", "log_softmax")
    assert one.message.startswith("`log_softmax` wants plain scores")


@pytest.mark.parametrize(
    ("name", "loss_name", "between"),
    [
        ("tanh", "cross_entropy", ("mul",)),  # a soft cap
        ("relu", "mse_loss", ()),
        ("sigmoid", "binary_cross_entropy_with_logits", ()),  # told by double-softmax
        ("sigmoid", "binary_cross_entropy", ()),
        ("relu", "cross_entropy", ("linear",)),
    ],
)
def test_scores_that_are_scaled_or_meant_so_are_not_told(name: str, loss_name: str, between: tuple[str, ...]) -> None:
    assert not clipped(name, loss_name, *between)
