"""What is told of a loss call: the operands' statistics, the op that made them, and the sign with which it counts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from smokestep.backends.torch.losses import RECOGNISED, finish, observe, operands
from smokestep.evidence.flow import Backward, Graph, Op, Value
from smokestep.evidence.losses import LossCall

EMPTY = Graph(0, {}, (), ())


def told(name, *args, **kwargs) -> LossCall:
    seen = observe(name, args, kwargs)
    assert seen is not None
    return finish(seen, EMPTY, None)


def test_every_recognised_loss_is_callable_and_binds_by_position_and_by_keyword():
    assert all(callable(getattr(F, name)) for name in RECOGNISED)
    x, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    by_keyword = told("cross_entropy", input=x, target=y, reduction="sum")
    assert by_keyword.reduction == "sum"
    assert by_keyword.prediction.shape == told("cross_entropy", x, y).prediction.shape == (4, 3)


def test_arguments_that_do_not_fit_are_not_observed():
    assert observe("mse_loss", (torch.ones(2),), {}) is None
    assert observe("kl_div", (torch.ones(2), torch.ones(2), 0, 1, 2, 3, 4, 5), {}) is None


@pytest.mark.parametrize(
    ("legacy", "reduction"),
    [
        ({"size_average": False}, "sum"),
        ({"reduce": False}, "none"),
        ({"size_average": True, "reduce": True}, "mean"),
        ({"reduction": "sum"}, "sum"),
        ({}, "mean"),
    ],
)
def test_the_legacy_reduction_arguments_are_read(legacy, reduction):
    assert told("mse_loss", torch.ones(2), torch.ones(2), **legacy).reduction == reduction


def test_the_class_dimension_is_the_second_or_the_only_one():
    images = told("cross_entropy", torch.randn(2, 5, 4, 4), torch.randint(0, 5, (2, 4, 4)))
    assert (images.classes, images.class_dim) == (5, 1)
    single = told("cross_entropy", torch.randn(5), torch.tensor(3))
    assert (single.classes, single.class_dim) == (5, 0)
    assert told("mse_loss", torch.randn(3), torch.randn(3)).classes is None


def test_row_sums_are_taken_along_the_class_dimension():
    call = told("cross_entropy", torch.randn(2, 5, 4, 4).softmax(1), torch.randint(0, 5, (2, 4, 4)))
    assert call.prediction.rows == pytest.approx((1.0, 1.0), abs=1e-5)
    wrong = told("cross_entropy", torch.randn(8, 5).softmax(0), torch.randint(0, 5, (8,)))
    assert wrong.prediction.rows is not None and wrong.prediction.rows[0] < 0.99 * wrong.prediction.rows[1]
    logs = told("nll_loss", torch.randn(8, 5).log_softmax(1), torch.randint(0, 5, (8,)))
    assert logs.prediction.exp_rows == pytest.approx((1.0, 1.0), abs=1e-5)


def test_of_a_large_operand_some_rows_are_summed():
    call = told("nll_loss", torch.zeros(3000, 2000).log_softmax(1), torch.zeros(3000, dtype=torch.long))
    assert call.prediction.exp_rows == pytest.approx((1.0, 1.0), abs=1e-3)


def test_probability_targets_have_row_sums_and_class_indices_are_whole_numbers():
    soft = told("cross_entropy", torch.randn(4, 3), torch.full((4, 3), 1 / 3)).target
    assert soft is not None and soft.rows == pytest.approx((1.0, 1.0), abs=1e-5) and soft.integral is False
    hard = told("cross_entropy", torch.randn(4, 3), torch.tensor([0, 2, 2, 0])).target
    assert hard is not None and hard.rows is None and hard.integral is True
    assert (hard.low, hard.high, hard.distinct) == (0.0, 2.0, 2)


def test_ignored_targets_do_not_count_in_the_range():
    target = torch.tensor([-100, 1, -100, 2])
    call = told("cross_entropy", torch.randn(4, 3), target)
    assert call.target is not None and (call.target.low, call.target.high) == (1.0, 2.0)
    assert call.ignored == 0.5
    nothing = told("cross_entropy", torch.randn(2, 3), torch.tensor([-100, -100]))
    assert nothing.target is not None and nothing.target.low is None and nothing.ignored == 1.0


def test_options_of_the_loss_are_told():
    call = told("cross_entropy", torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), torch.ones(3), label_smoothing=0.1)
    assert call.weighted and call.label_smoothing == 0.1
    assert told("kl_div", torch.zeros(2, 2), torch.zeros(2, 2), log_target=True).log_target


def test_two_inputs_and_a_target_are_told_apart():
    a, b, y = torch.randn(4, 3), torch.randn(4, 3), torch.ones(4)
    assert operands("cosine_embedding_loss", (a, b, y), {}) == (a, y)
    assert operands("triplet_margin_loss", (a, b, a), {}) == (a, None)


def test_entries_that_cannot_be_read_leave_the_attributes():
    call = told("mse_loss", torch.randn(3, device="meta"), torch.randn(3, device="meta"))
    assert call.prediction.shape == (3,) and call.prediction.low is None


def test_calls_inside_transforms_are_not_observed():
    inside = []

    def one(x, y):
        inside.append(observe("mse_loss", (x, y), {}))
        return F.mse_loss(x, y)

    torch.func.vmap(one)(torch.randn(4, 3), torch.randn(4, 3))
    assert inside == [None]


def test_nan_shows_in_the_range_and_bfloat16_and_bool_are_measured():
    call = told("mse_loss", torch.tensor([float("nan"), 1.0]), torch.tensor([True, False]))
    assert call.prediction.low != call.prediction.low
    assert call.target is not None and (call.target.low, call.target.high) == (0.0, 1.0)
    assert told("mse_loss", torch.ones(2, dtype=torch.bfloat16), torch.ones(2)).prediction.high == 1.0


def test_the_observation_keeps_no_operand_alive():
    import weakref

    x = torch.randn(4, 3)
    alive = weakref.ref(x)
    seen = observe("cross_entropy", (x, torch.tensor([0, 1, 2, 0])), {})
    del x
    assert seen is not None and alive() is None


def graph(*ops: Op, shapes=None, root: int | None = None) -> Graph:
    values = {}
    for op in ops:
        for value in op.reads:
            values.setdefault(value, Value(value, 0, "input", shape=(4, 3)))
        for value in op.makes:
            values[value] = Value(
                value, 0, "made", op=op.id, shape=(shapes or {}).get(value, (4, 3)), requires_grad=True
            )
    last = root if root is not None else ops[-1].makes[0]
    return Graph(0, values, ops, (Backward(0, (last,)),))


def call_in(graph: Graph, prediction: int, result: int, op: int) -> LossCall:
    seen = observe("cross_entropy", (torch.randn(4, 3), torch.tensor([0, 1, 2, 0])), {})
    assert seen is not None
    seen.prediction_value, seen.result_value, seen.op = prediction, result, op
    return finish(seen, graph, 0.5)


def test_the_maker_is_found_through_views_casts_and_picks():
    flow = graph(
        Op(0, 0, "softmax", (1,), (2,), args={"1": -1}),
        Op(1, 0, "float", (2,), (3,)),
        Op(2, 0, "__getitem__", (3, 9), (4,)),
        Op(3, 0, "view", (4,), (5,)),
        Op(4, 0, "cross_entropy", (5, 8), (6,)),
    )
    call = call_in(flow, 5, 6, 4)
    assert (call.prediction.maker, call.prediction.maker_dim, call.prediction.maker_size) == ("softmax", 1, 3)
    assert call.reaches_root and call.sign == 1 and call.loss == 0.5


def test_a_join_of_one_maker_is_that_maker_and_an_unnamed_dimension_is_the_old_implicit_one():
    same = graph(
        Op(0, 0, "softmax", (1,), (2,), args={"dim": None}),
        Op(1, 0, "softmax", (1,), (3,), args={"dim": None}),
        Op(2, 0, "stack", (2, 3), (4,)),
        Op(3, 0, "cross_entropy", (4, 8), (5,)),
        shapes={2: (4, 3, 2)},
    )
    made = call_in(same, 4, 5, 3).prediction
    assert (made.maker, made.maker_dim, made.maker_size) == ("softmax", 0, 4)
    mixed = graph(
        Op(0, 0, "softmax", (1,), (2,)), Op(1, 0, "relu_", (1,), (3,)), Op(2, 0, "cat", (2, 3), (4,)),
        Op(3, 0, "cross_entropy", (4, 8), (5,)),
    )  # fmt: skip
    assert call_in(mixed, 4, 5, 3).prediction.maker == "cat"


@pytest.mark.parametrize(
    ("ops", "sign"),
    [
        ([Op(1, 0, "neg", (6,), (7,))], -1),
        ([Op(1, 0, "__rsub__", (6,), (7,), args={"1": 1.0})], -1),
        ([Op(1, 0, "sub", (9, 6), (7,))], -1),
        ([Op(1, 0, "mul", (6,), (7,), args={"1": 0.5}), Op(2, 0, "mean", (7,), (8,))], 1),
        ([Op(1, 0, "mul", (6,), (7,), args={"1": -0.5}), Op(2, 0, "add", (7, 9), (8,))], -1),
        ([Op(1, 0, "mul", (6, 9), (7,))], None),
        ([Op(1, 0, "exp", (6,), (7,))], None),
        ([Op(1, 0, "neg", (6,), (7,)), Op(2, 0, "add", (6, 7), (8,))], None),
    ],
)
def test_the_sign_is_told_only_when_it_is_certain(ops, sign):
    flow = graph(Op(0, 0, "cross_entropy", (1, 2), (6,)), *ops)
    assert call_in(flow, 1, 6, 0).sign == sign


def test_a_loss_only_logged_does_not_reach_a_root():
    flow = graph(Op(0, 0, "cross_entropy", (1, 2), (6,)), Op(1, 0, "mse_loss", (3, 4), (5,)))
    assert not call_in(flow, 1, 6, 0).reaches_root
