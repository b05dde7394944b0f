"""The checks on how parameters begin and what that does through depth, on evidence written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from smokestep.checks.data.unscaled_input import unscaled_input
from smokestep.checks.initialization.dead_units import dead_units
from smokestep.checks.initialization.exploding_activations import exploding_activations
from smokestep.checks.initialization.identical_twins import identical_twins
from smokestep.checks.initialization.saturated_units import saturated_units
from smokestep.checks.initialization.symmetric_units import symmetric_units
from smokestep.checks.initialization.untied_weights import untied_weights
from smokestep.checks.initialization.vanishing_gradient import vanishing_gradient
from smokestep.checks.initialization.zero_product import zero_product
from smokestep.checks.wiring.missing_nonlinearity import missing_nonlinearity
from smokestep.evidence.beginnings import Beginning, Beginnings, Copies
from smokestep.evidence.depth import Chain, Depth, measure
from smokestep.evidence.fate import Fate
from smokestep.evidence.fates import Fates
from smokestep.evidence.flow import Backward, Flow, Graph, Op, Value
from smokestep.evidence.numbers import Activation, Numbers
from smokestep.evidence.steps import Movement, Optimizer, Parameter, Steps
from smokestep.findings import Finding, Line, NotApplicable

INIT, USE = Line("net.py", 5, "nn.init.zeros_(m.weight)"), Line("net.py", 9, "return self.b(self.a(x))")


def found(check: Any, *evidence: Any) -> list[Finding]:
    return [each for each in check.judge(*evidence) if isinstance(each, Finding)]


def value(number: int, name: str = "", *shape: int, **more: Any) -> Value:
    kind = more.pop("kind", "parameter" if name else "made")
    return Value(number, 0, kind, name, shape=shape, dtype="float32", **{"requires_grad": kind != "input", **more})


def linear(number: int, reads: tuple[int, ...], makes: int, name: str = "linear", **more: Any) -> Op:
    return Op(number, 0, name, reads, (makes,), line=USE, caller=USE, **more)


def chain(
    *shapes: tuple[int, int], between: str = "relu", data: float = 1.0, peak: float = 1.0, dtype: str = "float32"
) -> Graph:
    """Linear layers `0.weight`, `1.weight`, … of these shapes in a row, one op after each but the last."""
    source = Value(0, 0, "input", "batch[0]", shape=(4, shapes[0][1]), dtype=dtype, peak=data)
    values, ops, at = {0: source}, [], 0
    for position, shape in enumerate(shapes):
        weight = value(len(values), f"{position}.weight", *shape)
        made = value(len(values) + 1, "", 4, shape[0], peak=peak)
        values |= {weight.id: weight, made.id: made}
        ops.append(linear(len(ops), (at, weight.id), made.id))
        at = made.id
        if between and position < len(shapes) - 1:
            values[len(values)] = value(len(values), "", 4, shape[0], peak=peak)
            ops.append(linear(len(ops), (at,), len(values) - 1, between))
            at = len(values) - 1
    return Graph(0, values, tuple(ops), (Backward(0, (at,)),))


def parameter(name: str, **more: Any) -> Parameter:
    owner = name.rpartition(".")[0]
    return Parameter(name, (3, 3), "float32", 9, True, owner=owner, **{"optimizers": ("adam",), **more})


def steps(*names: str, gradient: float | None = 0.1, update: float = 0.1, scale: float = 1.0, count: int = 3) -> Steps:
    moves = (Movement(step, name, gradient, gradient, update, scale) for name in names for step in range(count))
    optimizer = Optimizer("adam", "Adam", ())
    return Steps(count, (), tuple(map(parameter, names)), tuple(moves), (optimizer,), (None,) * count)


TWO = Flow((chain((8, 4), (3, 8)),))


def beginning(name: str = "0.weight", *apart: float | None, dims: tuple[int, ...] = (0, 1)) -> Beginnings:
    return Beginnings((Beginning(name, dims, tuple((each,) * len(dims) for each in apart), INIT),))


def test_units_that_got_the_same_gradient_are_told_at_the_line_that_filled_them() -> None:
    (only,) = found(symmetric_units, beginning("0.weight", None, 1e-7, 2e-7), TWO)
    assert (only.cause, only.subjects) == (INIT, ("0.weight",))
    assert only.message.startswith("all units (8) of 0.weight")


@pytest.mark.parametrize(
    "beginnings",
    [
        beginning("0.weight", 1e-7, 0.5),  # the gradients differ in one step
        beginning("0.weight", None, None, 1e-7),  # one gradient is no pattern
        beginning("0.weight", 1e-7, 1e-7, dims=(1,)),  # the inputs, not the units, began alike
        beginning("1.weight", 1e-7, 1e-7),  # nothing works on what it gives: targets may be all the same
        beginning("other", 1e-7, 1e-7),
    ],
)
def test_units_that_may_come_apart_are_not_told(beginnings: Beginnings) -> None:
    assert not found(symmetric_units, beginnings, TWO)


def test_nothing_alike_is_not_applicable() -> None:
    assert isinstance(next(iter(symmetric_units.judge(Beginnings(), TWO))), NotApplicable)


def test_two_zero_factors_are_told_where_they_meet() -> None:
    graph = chain((8, 4), (3, 8), between="", peak=0.0)
    both = steps("0.weight", "1.weight", gradient=0.0, update=0.0, scale=0.0)
    (only,) = found(zero_product, both, Flow((graph,)), beginning("0.weight"))
    assert (only.cause, only.subjects) == (USE, ("0.weight", "1.weight"))
    assert only.related == ((INIT, "filled here"),)


@pytest.mark.parametrize("changed", [{"gradient": 0.1}, {"update": 0.1}, {"scale": 0.5}, {"gradient": None}])
def test_factors_that_move_or_have_gradient_are_not_told(changed: dict[str, float]) -> None:
    graph = chain((8, 4), (3, 8), between="", peak=0.0)
    both = steps("0.weight", "1.weight", **{"gradient": 0.0, "update": 0.0, "scale": 0.0, **changed})
    assert not found(zero_product, both, Flow((graph,)), Beginnings())


def test_one_zero_factor_is_a_healthy_beginning() -> None:
    graph = chain((8, 4), (3, 8), between="", peak=0.0)
    assert not found(zero_product, steps("1.weight", gradient=0.0, update=0.0, scale=0.0), Flow((graph,)), Beginnings())


def copies(*pairs: tuple[str, str], **more: Any) -> Beginnings:
    return Beginnings(copies=tuple(Copies(*pair, **{"still": True, "line": INIT, **more}) for pair in pairs))


def test_twins_are_told_once_for_all_their_parameters() -> None:
    names = ("q1.0.weight", "q2.0.weight", "q1.2.weight", "q2.2.weight")
    (only,) = found(identical_twins, copies(names[:2], names[2:]), steps(*names))
    assert (only.where.path, only.cause, only.subjects) == ("q1, q2", INIT, names)
    assert "q2 is a copy of q1" in only.message and "each of 3 updates" in only.message


def test_all_members_of_an_ensemble_are_told_together() -> None:
    pairs = copies(("heads.0.weight", "heads.1.weight"), ("heads.0.weight", "heads.2.weight"))
    (only,) = found(identical_twins, pairs, steps("heads.0.weight", "heads.1.weight", "heads.2.weight"))
    assert "heads.1, heads.2 are copies of heads.0" in only.message


def test_copies_with_other_gradients_or_none_are_not_told() -> None:
    pair = copies(("a.weight", "b.weight"))
    apart = steps("a.weight", "b.weight")
    moves = (*apart.movements[:5], Movement(2, "b.weight", 0.2, 0.2, 0.1, 1.0))
    assert not found(identical_twins, pair, Steps(3, (), apart.parameters, moves, apart.optimizers, (None,) * 3))
    assert not found(identical_twins, pair, steps("a.weight", "b.weight", gradient=None))
    assert not found(identical_twins, copies(("a.weight", "b.weight"), still=False), apart)
    assert not found(identical_twins, copies(("a.weight", "b.weight"), shared=True), apart)


def language_model() -> Flow:
    values = {
        0: value(0, kind="input"), 1: value(1, "embed.weight", 9, 4), 2: value(2, "", 2, 4),
        3: value(3, "head.weight", 9, 4), 4: value(4, "", 2, 9),
    }  # fmt: skip
    ops = (linear(0, (0, 1), 2, "embedding"), linear(1, (2, 3), 4))
    return Flow((Graph(0, values, ops, (Backward(0, (4,)),)),))


def trained(*names: str) -> Fates:
    return Fates(tuple(Fate(name, "trains") for name in names), 3)


@pytest.mark.parametrize("pair", [("embed.weight", "head.weight"), ("head.weight", "embed.weight")])
def test_an_output_layer_that_began_as_the_embedding_is_told(pair: tuple[str, str]) -> None:
    both = trained("embed.weight", "head.weight")
    (only,) = found(untied_weights, copies(pair, still=False), language_model(), both)
    assert (only.where.path, only.cause) == ("head.weight", USE)
    assert "train apart" in only.message
    (shared,) = found(untied_weights, copies(pair, shared=True), language_model(), both)
    assert "memory" in shared.message


def test_a_frozen_table_is_left_alone() -> None:
    assert not found(untied_weights, copies(("embed.weight", "head.weight")), language_model(), trained("head.weight"))


def test_layers_in_a_row_are_told() -> None:
    flow = Flow((chain((8, 4), (3, 8), between="dropout"),))
    (only,) = found(missing_nonlinearity, flow, steps("0.weight", "1.weight"))
    assert "0 (4 to 8) is followed by 1 (8 to 3)" in only.message


@pytest.mark.parametrize(
    "graph",
    [
        chain((8, 4), (3, 8), between="gelu"),
        chain((2, 4), (3, 2), between=""),  # narrower than both ends: a factorisation
        chain((8, 4), (3, 8), between="transpose"),
    ],
)
def test_bent_narrow_and_turned_pairs_are_not_told(graph: Graph) -> None:
    assert not found(missing_nonlinearity, Flow((graph,)), steps("0.weight", "1.weight"))


def test_layers_of_different_modules_are_not_told() -> None:
    graph = chain((8, 4), (3, 8), between="")
    apart = steps("0.weight")
    other = Parameter("1.weight", (3, 8), "float32", 24, True, owner="decoder.1", optimizers=("adam",))
    both = Steps(3, (), (*apart.parameters, other), apart.movements, apart.optimizers, (None,) * 3)
    assert not found(missing_nonlinearity, Flow((graph,)), both)


def activation(op: str, number: int, **more: Any) -> Numbers:
    values = {"dead": 0.0, "saturated": 0.0, "entries": 32, "steps": 3, "value": number, **more}
    return Numbers(activations=(Activation(0, op, USE, "", **{"units": 32, **values}),))


WIDE = Flow((chain((32, 4), (3, 32)),))  # value 3 is what the activation gives
FLAT = Flow((chain((32, 4), (3, 32), between="tanh"),))


def test_dead_units_are_counted() -> None:
    (only,) = found(dead_units, activation("relu", 3, dead=0.9375), WIDE, steps("0.weight"))
    assert only.message.startswith("30 of 32 units of 0.weight")


@pytest.mark.parametrize(
    "changed", [{"dead": 0.5}, {"dead": 1.0}, {"entries": 4}, {"units": 8}, {"steps": 2}, {"value": 0}]
)
def test_few_dead_units_or_little_seen_are_not_told(changed: dict[str, Any]) -> None:
    assert not found(dead_units, activation("relu", 3, **{"dead": 0.95, **changed}), WIDE, steps("0.weight"))


def test_saturated_units_are_told_between_layers_only() -> None:
    (only,) = found(saturated_units, activation("tanh", 3, saturated=0.97), FLAT, steps("0.weight"))
    assert "97%" in only.message
    alone = Flow((chain((32, 4), between="tanh"),))
    assert not found(saturated_units, activation("tanh", 2, saturated=0.97), alone, steps("0.weight"))
    assert not found(saturated_units, activation("tanh", 3, saturated=0.8), FLAT, steps("0.weight"))


def course(gradients: tuple[float, ...], peaks: tuple[float, ...] = (), count: int = 3) -> Depth:
    graph = chain(*((8, 8),) * len(gradients))
    got = {f"{position}.weight": each for position, each in enumerate(gradients)}
    some = steps(*got)
    moves = tuple(Movement(0, name, each, each, 0.1, 1.0) for name, each in got.items())
    (found,) = measure(Steps(1, (), some.parameters, moves, some.optimizers, (None,)), Flow((graph,))).chains
    return Depth((Chain(0, found.layers, found.gradients, peaks or found.peaks),) * count)


def test_a_gradient_that_fades_step_by_step_is_told() -> None:
    (only,) = found(vanishing_gradient, course((1e-8, 1e-7, 1e-5, 1e-4, 1e-3, 1e-2)))
    assert "from 0.01 at 5.weight to 1e-08 at 0.weight, through 6 layers" in only.message
    assert "most from 2.weight to 1.weight" in only.message


@pytest.mark.parametrize(
    "gradients",
    [
        (1e-7, 1e-7, 2e-7, 1e-7, 1e-2, 1e-2),  # at one place: a gate, or a small scale
        (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
        (1e-8, 1e-6, 1e-4, 1e-2),  # not deep
    ],
)
def test_a_gradient_that_falls_at_once_or_little_is_not_told(gradients: tuple[float, ...]) -> None:
    assert not found(vanishing_gradient, course(gradients))


def test_results_that_grow_step_by_step_are_told() -> None:
    (only,) = found(exploding_activations, course((0.1,) * 6, (1.0, 8.0, 50.0, 400.0, 3e3, 2e4)))
    assert "grows from 1 after 0.weight to 2e+04 after 5.weight" in only.message
    assert not found(exploding_activations, course((0.1,) * 6, (1.0, 1.0, 1.0, 2e4, 2e4, 2e4)))
    assert not found(exploding_activations, course((0.1,) * 6, (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)))


def test_a_chain_ends_where_something_goes_round_a_layer() -> None:
    graph = chain((8, 8), (8, 8), (8, 8), between="")
    last = max(graph.values) + 1
    added = linear(9, (graph.ops[0].makes[0], graph.ops[2].makes[0]), last, "add")
    graph = Graph(0, {**graph.values, last: value(last, "", 4, 8)}, (*graph.ops, added), (Backward(0, (last,)),))
    (only,) = measure(steps("0.weight", "1.weight", "2.weight"), Flow((graph,))).chains
    assert [layer.weight for layer in only.layers] == ["1.weight", "2.weight"]


def test_raw_inputs_are_told_by_what_they_do() -> None:
    raw = Flow((chain((8, 4), (3, 8), data=255.0, peak=90.0),))
    (only,) = found(unscaled_input, raw, steps("0.weight", "1.weight"))
    assert "batch[0] holds entries up to 255, and 0.weight reads it as it is: its results reach 90" in only.message
    (only,) = found(
        unscaled_input, Flow((chain((8, 4), (3, 8), dtype="uint8", data=None, peak=90.0),)), steps("0.weight")
    )
    assert "unsigned bytes" in only.message


@pytest.mark.parametrize(
    "graph",
    [
        chain((8, 4), (3, 8), data=255.0, peak=2.0),  # the layer was drawn to match
        chain((8, 4), (3, 8), data=9.0, peak=90.0),
        chain((8, 4), (3, 8), data=255.0, peak=90.0, between="layer_norm"),
        chain((3, 4), data=255.0, peak=90.0),  # a linear model
    ],
)
def test_inputs_without_a_consequence_are_not_told(graph: Graph) -> None:
    assert not found(unscaled_input, Flow((graph,)), steps("0.weight", "1.weight"))


@pytest.mark.parametrize("last", ["relu", "tanh", "mean", "transpose"])
def test_zero_stays_zero_through_what_keeps_it(last: str) -> None:
    graph = chain((8, 4), (3, 8), between=last, peak=0.0)
    both = steps("0.weight", "1.weight", gradient=0.0, update=0.0, scale=0.0)
    assert found(zero_product, both, Flow((graph,)), Beginnings())


@pytest.mark.parametrize("last", ["cos", "layer_norm", "softmax"])
def test_a_zero_that_the_data_may_lift_is_not_told(last: str) -> None:
    graph = chain((8, 4), (3, 8), between=last, peak=0.0)
    both = steps("0.weight", "1.weight", gradient=0.0, update=0.0, scale=0.0)
    assert not found(zero_product, both, Flow((graph,)), Beginnings())
