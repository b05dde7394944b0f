"""The checks of state, and of what a repeated call or a rebuilt training shows, on evidence written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from smokestep.checks.loop.irreproducible import irreproducible
from smokestep.checks.mode.evaluation_updates import evaluation_updates
from smokestep.checks.mode.mutated_input import mutated_input
from smokestep.checks.mode.overridden_train import overridden_train
from smokestep.checks.mode.random_evaluation import random_evaluation
from smokestep.checks.mode.unreached_mode import unreached_mode
from smokestep.checks.state.aliased_checkpoint import aliased_checkpoint
from smokestep.checks.state.broken_resume import broken_resume
from smokestep.checks.state.loose_loading import loose_loading
from smokestep.checks.state.lost_state import lost_state
from smokestep.checks.state.unloadable_state import unloadable_state
from smokestep.evidence.flow import Graph, Op, Value
from smokestep.evidence.loading import Kept, Load, Loading
from smokestep.evidence.repeat import Draw, Repeated, Repeats, Write, use_of
from smokestep.evidence.roundtrip import Lost, Rebuilt, Resumed, RoundTrips, Trip
from smokestep.evidence.switching import Override, Switched, Switching, Unreached
from smokestep.findings import Finding, Line, NotApplicable, Open, Severity

AT = Line("net.py", 7, "self.x = torch.randn(3)")
DEF = Line("net.py", 9, "def forward(self, x):")


def said(check: Any, evidence: Any) -> list[Any]:
    return list(check.judge(evidence))


def findings(check: Any, evidence: Any) -> list[Finding]:
    return [each for each in said(check, evidence) if isinstance(each, Finding)]


def reasons(check: Any, evidence: Any) -> list[str]:
    return [each.reason for each in said(check, evidence) if isinstance(each, NotApplicable)]


# ── repeated calls ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("use", ["attention", "mask", "noise"])
def test_random_evaluation_names_the_draw(use: Any) -> None:
    draw = Draw("randn_like", use, AT, "body.drop")
    (finding,) = findings(random_evaluation, Repeats((Repeated("net", apart=0.2, draws=(draw,)),)))
    assert finding.cause == AT
    assert finding.where.path == "body.drop"
    assert "0.2" in finding.message


def test_random_evaluation_spares_samples_drawn_on_purpose() -> None:
    evidence = Repeats((Repeated("net", apart=0.2, draws=(Draw("randn_like", "other", AT),)),))
    assert findings(random_evaluation, evidence) == []
    assert reasons(random_evaluation, evidence)


@pytest.mark.parametrize("check", [random_evaluation, evaluation_updates, mutated_input])
def test_a_call_that_cannot_be_repeated_is_not_judged(check: Any) -> None:
    assert reasons(check, Repeats((Repeated("net", skipped="it raised"),))) == ["it raised"]
    assert reasons(check, Repeats(())) == ["no model was called"]


def test_evaluation_updates_tells_the_statistics_of_one_layer_once() -> None:
    model = Repeated("net", DEF, averages=(("norm.mean", AT), ("norm.var", None)))
    (finding,) = findings(evaluation_updates, Repeats((model,)))
    assert finding.subjects == ("norm.mean", "norm.var")
    assert finding.cause == AT


def test_evaluation_updates_falls_back_to_the_forward() -> None:
    (finding,) = findings(evaluation_updates, Repeats((Repeated("net", DEF, averages=(("mean", None),)),)))
    assert finding.cause == DEF


def test_mutated_input_needs_someone_who_still_has_it() -> None:
    def evidence(again: Line | None, given: bool) -> Repeats:
        return Repeats((Repeated("net", writes=(Write("x", "mul_", AT, again, given),)),))

    assert findings(mutated_input, evidence(None, False)) == []
    (held,), (read,) = findings(mutated_input, evidence(None, True)), findings(mutated_input, evidence(DEF, False))
    assert "still holds" in held.message
    assert "read again" in read.message
    assert read.related == ((DEF, "reads it again"),)


def graph(*ops: tuple[str, tuple[int, ...], int], kinds: dict[int, Any] | None = None) -> Graph:
    """Operations in order; 0 is the input, 1 a parameter."""
    values = {0: Value(0, 0, "input"), 1: Value(1, 0, "parameter", "w")}
    for number, (_, reads, made) in enumerate(ops):
        values[made] = Value(made, 0, (kinds or {}).get(made, "made"), op=number)
        for read in reads:
            values.setdefault(read, Value(read, 0, "made"))
    return Graph(0, values, tuple(Op(i, 0, name, reads, (made,)) for i, (name, reads, made) in enumerate(ops)), ())


def use(*ops: tuple[str, tuple[int, ...], int]) -> str:
    of = graph(*ops)
    return use_of(of.ops[0], of)


def test_noise_of_a_fixed_scale_that_is_added() -> None:
    assert use(("randn_like", (0,), 10), ("mul", (10,), 11), ("add", (0, 11), 12)) == "noise"


def test_noise_of_a_learned_scale_is_a_sample() -> None:
    assert use(("randn_like", (0,), 10), ("mul", (10, 1), 11), ("add", (0, 11), 12)) == "other"


def test_noise_that_is_used_twice_is_a_target() -> None:
    assert use(("randn_like", (0,), 10), ("add", (0, 10), 11), ("mse_loss", (11, 10), 12)) == "other"


def test_uniform_numbers_that_are_added_are_no_noise_for_sure() -> None:
    assert use(("rand_like", (0,), 10), ("add", (0, 10), 11)) == "other"


def test_a_mask_with_what_is_left_scaled_up() -> None:
    assert use(("rand", (), 10), ("lt", (10,), 11), ("mul", (0, 11), 12), ("div", (12,), 13)) == "mask"
    assert use(("rand", (), 10), ("add", (10,), 11), ("floor_", (11,), 12), ("div", (12,), 13), ("mul", (0, 13), 14))
    assert use(("bernoulli_", (9,), 10), ("div_", (10,), 11), ("mul", (0, 11), 12)) == "mask"


def test_a_mask_that_scales_nothing_may_be_a_random_update() -> None:
    assert use(("rand", (), 10), ("lt", (10,), 11), ("mul", (0, 11), 12), ("add", (0, 12), 13)) == "other"


def test_probabilities_of_the_model_give_samples() -> None:
    assert use(("bernoulli", (1,), 10), ("mul", (0, 10), 11), ("div", (11,), 12)) == "other"


# ── modes ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def switching(*unreached: Unreached, overrides: tuple[Override, ...] = ()) -> Switching:
    return Switching((Switched("net", unreached, overrides),))


def test_unreached_mode_tells_one_container_once() -> None:
    layers = [Unreached(f"drops[{n}]", "Dropout", "dropout", "list", True, AT) for n in range(2)]
    (finding,) = findings(unreached_mode, switching(*layers))
    assert finding.severity is None
    assert finding.cause == AT
    assert "ModuleList" in finding.hint


@pytest.mark.parametrize("kind", ["dropout", "own"])
def test_unreached_mode_within_a_hidden_network_is_a_suspicion(kind: Any) -> None:
    (finding,) = findings(unreached_mode, switching(Unreached("net[0]", "Block", kind, "list", False, AT)))
    assert finding.severity is Severity.SUSPICION


def test_unreached_mode_says_why_it_could_not_look() -> None:
    assert reasons(unreached_mode, Switching((Switched("net", skipped="train() raised"),))) == ["train() raised"]


@pytest.mark.parametrize(
    ("own", "word"),
    [
        (Override("Net", "train", AT, other=True), "another meaning"),
        (Override("Net", "eval", AT, stuck=("drop",)), "leaves drop in training mode"),
        (Override("Net", "train", AT, lost=("drop",)), "leaves drop in evaluation mode"),
        (Override("Net", "train", AT, returns=False), "does not give the module back"),
    ],
)
def test_overridden_train_says_what_it_does_not_do(own: Override, word: str) -> None:
    (finding,) = findings(overridden_train, switching(overrides=(own,)))
    assert word in finding.message
    assert finding.cause == AT


def test_overridden_train_spares_one_that_switches() -> None:
    assert said(overridden_train, switching(overrides=(Override("Net", "train", AT),))) == []
    assert reasons(overridden_train, switching())


# ── state ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def lost(origin: Any, **more: Any) -> Lost:
    return Lost("features.B", origin, AT, "Features", "module", **more)


def test_lost_state_that_is_drawn_is_certain() -> None:
    (finding,) = findings(lost_state, RoundTrips((Trip("net", DEF, 0.5, (lost("drawn"),)),)))
    assert finding.severity is None
    assert finding.cause == AT
    assert finding.subjects == ("features.B",)


def test_lost_state_that_training_changed_is_a_suspicion() -> None:
    (finding,) = findings(lost_state, RoundTrips((Trip("net", DEF, 0.5, (lost("changed"),)),)))
    assert finding.severity is Severity.SUSPICION
    (number,) = findings(lost_state, RoundTrips((Trip("net", DEF, 0.5, (lost("drawn", tensor=False),)),)))
    assert number.severity is Severity.SUSPICION


@pytest.mark.parametrize("origin", ["made", "passing"])
def test_lost_state_spares_data_and_hidden_states(origin: Any) -> None:
    assert findings(lost_state, RoundTrips((Trip("net", DEF, 0.5, (lost(origin),)),))) == []


def test_lost_state_without_a_cause_is_open() -> None:
    trips = RoundTrips((Trip("net", DEF, 0.5, skipped="no attribute explains it"),))
    assert [type(each) for each in said(lost_state, trips)] == [Open]


def test_unloadable_state_tells_what_was_refused() -> None:
    trips = RoundTrips((Trip("net", DEF, refused="RuntimeError: Unexpected\n key"),))
    (finding,) = findings(unloadable_state, trips)
    assert "Unexpected key" in finding.message
    assert findings(lost_state, trips) == []
    assert findings(unloadable_state, RoundTrips((Trip("net", DEF),))) == []


@pytest.mark.parametrize(
    ("kind", "severity"), [("optimizer", None), ("module", Severity.SUSPICION), ("other", Severity.SUSPICION)]
)
def test_broken_resume_is_certain_for_optimizers(kind: Any, severity: Severity | None) -> None:
    evidence = Resumed(2, 0.1, (Lost("optimizer.t", "changed", AT, "Own", kind, False),))
    (finding,) = findings(broken_resume, evidence)
    assert finding.severity is severity
    assert finding.cause == AT


def test_broken_resume_leaves_the_steps_own_variables_to_the_user() -> None:
    assert findings(broken_resume, Resumed(2, 0.1, loose=("count",))) == []
    assert reasons(broken_resume, Resumed(skipped="not the same twice")) == ["not the same twice"]
    assert said(broken_resume, Resumed(2)) == []


def test_aliased_checkpoint_of_what_trains() -> None:
    (finding,) = findings(aliased_checkpoint, Loading(kept=(Kept("Net", 4, True, AT), Kept("Net", 4, True, AT))))
    assert finding.data["states"] == 2
    assert findings(aliased_checkpoint, Loading(kept=(Kept("Net", 4, False, AT),))) == []
    assert findings(aliased_checkpoint, Loading(kept=(Kept("Net", 4, True, AT),), live=True)) == []


def test_loose_loading_of_nothing() -> None:
    (finding,) = findings(loose_loading, Loading((Load("Net", 4, 0, "a.weight", "module.a.weight", False, AT),)))
    assert finding.severity is None
    assert "module.a.weight" in finding.message


@pytest.mark.parametrize(
    "load",
    [
        Load("Net", 4, 2, "head.weight", "fc.weight", False, AT),
        Load("Net", 4, 0, "a.weight", "module.a.weight", True, AT),
        Load("Net", 0, 0, "a.weight", "", False, AT),
        Load("ReLU", 4, 0, "", "a.weight", False, AT),
    ],
)
def test_loose_loading_spares_a_part_a_second_try_and_what_has_no_keys(load: Load) -> None:
    assert findings(loose_loading, Loading((load,))) == []


def test_loose_loading_in_a_package_is_a_suspicion() -> None:
    inside = Line("package.py", 3, "", installed=True)
    (finding,) = findings(loose_loading, Loading((Load("Net", 4, 0, "a", "b", False, inside),)))
    assert finding.severity is Severity.SUSPICION


# ── one seed ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_irreproducible_names_what_was_not_seeded() -> None:
    call = (("np.random.default_rng()", AT),)
    (finding,) = findings(irreproducible, Rebuilt(parameters=("w",), losses=(1.0, 2.0), unseeded=call))
    assert "default_rng" in finding.message
    assert finding.cause == AT
    (held,) = findings(irreproducible, Rebuilt(generators=("noise",), losses=(1.0, 2.0)))
    assert "noise is a generator" in held.message
    (before,) = findings(irreproducible, Rebuilt(tensors=("data",), parameters=("w",)))
    assert "data differ before" in before.message


def test_irreproducible_spares_what_has_no_effect() -> None:
    assert said(irreproducible, Rebuilt(generators=("noise",), unseeded=(("random.seed()", AT),))) == []
    assert reasons(irreproducible, Rebuilt(skipped="a step raised")) == ["a step raised"]
