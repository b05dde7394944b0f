"""The wiring checks on fates written by hand: what each tells, how sure it is, and what it leaves to others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.wiring.constant_output import constant_output
from smokestep.checks.wiring.dead_branch import dead_branch
from smokestep.checks.wiring.frozen_parameter import frozen_parameter
from smokestep.checks.wiring.gradient_cut import gradient_cut
from smokestep.checks.wiring.idle_optimizer import idle_optimizer
from smokestep.checks.wiring.ignored_input import ignored_input
from smokestep.checks.wiring.lost_update import lost_update
from smokestep.checks.wiring.nothing_trains import nothing_trains
from smokestep.checks.wiring.stale_optimizer import stale_optimizer
from smokestep.checks.wiring.unoptimized_parameter import unoptimized_parameter
from smokestep.checks.wiring.unregistered_parameter import unregistered_parameter
from smokestep.checks.wiring.unused_layer import unused_layer
from smokestep.checks.wiring.zero_gradient import zero_gradient
from smokestep.evidence.declared import Declared
from smokestep.evidence.fate import Fate
from smokestep.evidence.fates import Fates
from smokestep.evidence.flow import Call, Flow, Graph, Op, Value
from smokestep.evidence.gradients import Gradients, Use
from smokestep.evidence.inputs import Inputs, read
from smokestep.evidence.steps import Event, Group, Movement, Optimizer, Parameter, Steps
from smokestep.findings import Finding, Line, NotApplicable, Open, Severity

AT = Line("net.py", 27, "net = F.relu(self.conv1(x))")


def said(check: Any, *evidence: Any) -> list[Any]:
    return list(check.judge(*evidence))


def findings(check: Any, *evidence: Any) -> list[Finding]:
    return [each for each in said(check, *evidence) if isinstance(each, Finding)]


def fates(*some: Fate, steps: int = 3) -> Fates:
    return Fates(some, steps)


def steps(
    parameters: Iterable[Parameter] = (), *, optimizers: tuple[Optimizer, ...] = (), moved: float = 0.0,
    events: tuple[Event, ...] = (),
) -> Steps:  # fmt: skip
    some = tuple(parameters)
    rows = tuple(Movement(0, each.name, None, None, moved, 1.0) for each in some)
    return Steps(3, events, some, rows, optimizers, (1.0, 0.9, 0.8))


def parameter(name: str, **more: Any) -> Parameter:
    return Parameter(
        name, **{"shape": (3,), "dtype": "float32", "size": 3, "requires_grad": True, "model": "net", **more}
    )


def test_dead_branch_names_the_line_and_the_parameters() -> None:
    both = [Fate(f"conv1.{part}", "dropped", "is computed, and nothing uses it", AT) for part in ("weight", "bias")]
    (finding,) = findings(dead_branch, fates(*both))
    assert finding.message == (
        "conv1.weight, conv1.bias got no gradient in 3 steps: "
        "`net = F.relu(self.conv1(x))` is computed, and nothing uses it"
    )
    assert (finding.cause, finding.subjects, finding.severity) == (AT, ("conv1.weight", "conv1.bias"), None)


def test_an_output_the_step_ignores_is_a_suspicion() -> None:
    (finding,) = findings(dead_branch, fates(Fate("value.weight", "dropped", "…", AT, certain=False)))
    assert finding.severity is Severity.SUSPICION


def test_conditional_use_is_open_and_told_by_one_check() -> None:
    used = fates(Fate("aux.weight", "conditional", "`aux` is used only under a condition", AT, op="linear"))
    cold = fates(Fate("experts.3.weight", "conditional", "no operation read it"))
    assert [type(each) for each in said(dead_branch, used)] == [Open]
    assert said(unused_layer, used) == said(dead_branch, cold) == []
    assert [type(each) for each in said(unused_layer, cold)] == [Open]


def test_gradient_cut_and_what_was_not_seen() -> None:
    one = Fate("enc.weight", "cut", "`detach` takes it out of the graph", AT, op="detach")
    (finding,) = findings(gradient_cut, fates(one))
    assert "`detach` takes it out of the graph" in finding.message
    assert [type(each) for each in said(gradient_cut, fates(Fate("enc.weight", "opaque", "…")))] == [Open]


def test_zero_gradient_without_a_reason_is_open() -> None:
    known = Fate("a.weight", "zero", "is multiplied by exactly 0", AT)
    assert len(findings(zero_gradient, fates(known))) == 1
    assert [type(each) for each in said(zero_gradient, fates(Fate("a.weight", "zero")))] == [Open]
    assert [type(each) for each in said(zero_gradient, fates(Fate("a.weight", "waiting", "…")))] == [Open]


def test_lost_update_gives_the_numbers() -> None:
    (finding,) = findings(
        lost_update, fates(Fate("norm.weight", "lost", "updates of about 0.001 are lost", AT, op="bfloat16"))
    )
    assert "0.001" in finding.message


def test_unregistered_names_the_container() -> None:
    one = fates(Fate("layers[0].weight", "unregistered", "", Line("net.py", 5, "self.layers = [nn.Linear(3, 3)]")))
    (finding,) = findings(unregistered_parameter, one, steps([parameter("layers[0].weight", container="list")]))
    assert "keeps it in a list" in finding.message and "nn.ModuleList" in finding.hint


def optimizer(*held: str, **more: Any) -> Optimizer:
    return Optimizer("adam", "Adam", (Group(held, (0.1,)),), Line("train.py", 3, "adam = Adam(…)"), **more)


def test_unoptimized_is_certain_for_the_smaller_part_of_a_model() -> None:
    names = ("a", "b", "c", "d")
    some = [parameter(name) for name in names]

    def severity(without: tuple[str, ...], **more: Any) -> Severity | None:
        held = optimizer(*(name for name in names if name not in without), **more)
        (finding,) = findings(
            unoptimized_parameter,
            fates(*(Fate(name, "unoptimized") for name in without)),
            steps(some, optimizers=(held,)),
            Declared(),
        )
        assert finding.cause == held.line
        return finding.severity

    assert severity(("d",)) is None
    assert severity(("b", "c", "d")) is Severity.SUSPICION  # a probe, an adapter
    assert severity(names) is Severity.SUSPICION  # a network that serves as loss
    assert severity(("d",), filtered=True) is Severity.SUSPICION  # chosen by a condition


def test_unoptimized_is_certain_where_declared() -> None:
    some = [parameter("a", explicit=True), parameter("b")]
    (finding,) = findings(
        unoptimized_parameter, fates(Fate("a", "unoptimized")), steps(some, optimizers=(optimizer("b"),)), Declared()
    )
    assert finding.severity is None


@pytest.mark.parametrize(
    "declared", [Declared(untouched={"": frozenset({"a"})}), Declared(trains={"": frozenset({"b"})})]
)
def test_unoptimized_is_as_declared(declared: Declared) -> None:
    some = [parameter("a"), parameter("b")]
    left = fates(Fate("a", "unoptimized"))
    assert not findings(unoptimized_parameter, left, steps(some, optimizers=(optimizer("b"),)), declared)


def test_stale_optimizer_needs_a_twin_that_goes_without() -> None:
    held = optimizer("old.weight", stale=(("old.weight", "head.weight"),))
    with_twin = fates(Fate("head.weight", "stale"))
    (finding,) = findings(stale_optimizer, steps(optimizers=(held,)), with_twin)
    assert finding.subjects == ("head.weight",)
    assert not findings(stale_optimizer, steps(optimizers=(held,)), fates(Fate("head.weight", "aside")))


def test_a_frozen_backbone_is_healthy_and_a_frozen_group_suspicious() -> None:
    some = [parameter("body.weight", requires_grad=False), parameter("head.weight")]
    told = fates(Fate("body.weight", "frozen"), Fate("head.weight", "trains"))
    together = steps(some, optimizers=(optimizer("body.weight", "head.weight"),))
    assert said(frozen_parameter, told, together) == []
    apart = steps(
        some, optimizers=(Optimizer("adam", "Adam", (Group(("body.weight",), ()), Group(("head.weight",), ()))),)
    )
    (finding,) = findings(frozen_parameter, told, apart)
    assert finding.severity is Severity.SUSPICION
    assert isinstance(said(frozen_parameter, fates(Fate("head.weight", "trains")), together)[0], NotApplicable)


def test_frozen_though_declared() -> None:
    some = [parameter("body.weight", requires_grad=False, explicit=True)]
    (finding,) = findings(frozen_parameter, fates(Fate("body.weight", "frozen")), steps(some))
    assert finding.severity is None


def test_nothing_trains_speaks_only_where_no_other_check_does() -> None:
    some = [parameter("w")]
    update = Event(3, 0, "update", Line("train.py", 9))
    backward = Event(2, 0, "backward", Line("train.py", 8))
    flow = Flow(())
    none = Gradients()
    (finding,) = findings(nothing_trains, steps(some, events=(update,)), fates(Fate("w", "unexplained")), flow, none)
    assert "no backward was called" in finding.message
    seen = steps(some, events=(backward, update))
    assert findings(nothing_trains, seen, fates(Fate("w", "frozen")), flow, none)
    assert not findings(nothing_trains, seen, fates(Fate("w", "cut", "…", AT)), flow, none)
    assert not findings(nothing_trains, seen, fates(Fate("w", "no update")), flow, none)  # the loop's checks know
    assert not said(nothing_trains, steps(some, moved=0.1), fates(Fate("w", "trains")), flow, none)
    assert [type(each) for each in said(nothing_trains, seen, fates(Fate("w", "opaque")), flow, none)] == [Open]
    wiped = Gradients((Use(update, wiped={"w": update}),))
    assert not findings(nothing_trains, seen, fates(Fate("w", "cleared")), flow, wiped)  # `cleared-gradients` knows
    (finding,) = findings(nothing_trains, seen, fates(Fate("w", "cleared")), flow, none)
    assert "exactly 0 at the update" in finding.message


def inputs(
    ops: tuple[Op, ...], values: tuple[Value, ...], *, spread: float | None = 0.1, varied: bool = True, **more: Any
) -> Inputs:
    call = Call(0, 0, "net", (("x", 1), ("mask", 2)), (9,), AT, spread=(spread,), varied=varied, **more)
    graph = Graph(0, {value.id: value for value in values}, ops, (), (call,))
    return read(Flow((graph,)))


VALUES = (
    Value(1, 0, "input", "batch[0]", shape=(4, 3)), Value(2, 0, "input", "batch[1]", shape=(4, 3)),
    Value(5, 0, "made", op=5, shape=(4, 3)), Value(9, 0, "made", op=9, shape=(4, 2)),
)  # fmt: skip
OUT = Op(9, 0, "linear", (5,), (9,))


def test_an_input_that_reaches_no_output_is_ignored() -> None:
    (finding,) = findings(ignored_input, inputs((Op(5, 0, "relu", (1,), (5,)), OUT), VALUES))
    assert "`mask`" in finding.message and finding.severity is Severity.SUSPICION
    (finding,) = findings(ignored_input, inputs((Op(5, 0, "randn_like", (1,), (5,)), OUT), VALUES))
    assert finding.severity is None  # the shape of `x` is read, and nothing else


def test_a_condition_on_an_input_reads_it() -> None:
    asks = Op(3, 0, "__bool__", (2,), (4,), escapes=True)
    assert not findings(ignored_input, inputs((asks, Op(5, 0, "relu", (1,), (5,)), OUT), VALUES))


def test_a_librarys_model_is_not_judged() -> None:
    assert isinstance(said(ignored_input, inputs((OUT,), VALUES, installed=True))[0], NotApplicable)


def test_constant_output_is_certain_where_the_model_trained() -> None:
    constant = inputs((OUT,), VALUES, spread=0.0)
    often = Inputs((replace(constant.models[0], compared=3),))
    (finding,) = findings(constant_output, often, fates(Fate("w", "trains")))
    assert finding.severity is None
    (finding,) = findings(constant_output, constant, fates(Fate("w", "trains")))
    assert finding.severity is Severity.SUSPICION  # one call may be a head that starts at zero
    assert not findings(constant_output, inputs((OUT,), VALUES, spread=0.3), fates())


def test_constant_output_needs_samples_that_differ() -> None:
    assert isinstance(
        said(constant_output, inputs((OUT,), VALUES, spread=0.0, varied=False), fates())[0], NotApplicable
    )


def test_an_optimizer_whose_parameters_take_part_in_nothing_is_idle_if_it_is_stepped_every_time() -> None:
    both = (replace(optimizer("actor.w"), name="a"), replace(optimizer("critic.w"), name="c"))
    updates = tuple(Event(i, i // 2, "update", AT, subject="ac"[i % 2]) for i in range(6))
    absent, present = Fate("actor.w", "conditional"), Fate("critic.w", "trains")
    (one,) = findings(idle_optimizer, steps(optimizers=both, events=updates), fates(absent, present))
    assert one.cause == AT and one.subjects == ("actor.w",) and "stepped 3 times" in one.message
    delayed = updates[1:]
    assert findings(idle_optimizer, steps(optimizers=both, events=delayed), fates(absent, present)) == []
    branch = replace(absent, op="linear")
    assert findings(idle_optimizer, steps(optimizers=both, events=updates), fates(branch, present)) == []
    (lone,) = said(idle_optimizer, steps(optimizers=both[:1], events=updates), fates(absent))
    assert isinstance(lone, NotApplicable)
