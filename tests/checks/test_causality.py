"""The sequence checks on causality and caches, on evidence by hand: what each tells, and when it is silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.sequence.cache_mismatch import cache_mismatch
from smokestep.checks.sequence.future_leak import future_leak
from smokestep.checks.sequence.lost_history import lost_history
from smokestep.checks.sequence.shifted_twice import shifted_twice
from smokestep.checks.sequence.unshifted_target import unshifted_target
from smokestep.evidence.caching import Caching, Decoding
from smokestep.evidence.carriers import Carrier, carrier_of, mixer, spreading
from smokestep.evidence.causality import Causality, Promise, Sight
from smokestep.evidence.trials import Spread, Touch
from smokestep.findings import Finding, Line, NotApplicable, Open, Severity

AT, LOSS, CALL = (
    Line("net.py", 9, "y = sdpa(q, k, v)"),
    Line("train.py", 5, "loss = …"),
    Line("train.py", 4, "model(x)"),
)
ATTENTION = Carrier("scaled_dot_product_attention", AT, AT, masked=False)
CAUSAL = Sight(
    "model", 7, "ids", line=LOSS, called=CALL, shift=1, several=True, own=True, earlier=True, attends=True, positions=8
)
LEAKY = replace(CAUSAL, answer=True, later=True, carrier=ATTENTION)
COPY = replace(CAUSAL, shift=0, answer=True)
TWICE = replace(CAUSAL, shift=2)
BLIND = replace(CAUSAL, earlier=False, mixer=ATTENTION)
CHECKS = [future_leak, unshifted_target, shifted_twice, lost_history]


def said(check: Any, *sights: Sight, **more: Any) -> list[Any]:
    return list(check.judge(Causality(sights, **more)))


def findings(check: Any, *sights: Sight, **more: Any) -> list[Finding]:
    return [each for each in said(check, *sights, **more) if isinstance(each, Finding)]


@pytest.mark.parametrize("check", CHECKS)
def test_a_causal_model_is_silent(check: Any) -> None:
    assert not findings(check, CAUSAL)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("sight", [LEAKY, COPY, TWICE, BLIND])
def test_each_fault_is_told_by_one_check(check: Any, sight: Sight) -> None:
    mine = dict(zip((LEAKY, COPY, TWICE, BLIND), CHECKS, strict=True))[sight]
    assert bool(findings(check, sight)) == (check is mine)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("sight", [LEAKY, COPY, TWICE, BLIND])
@pytest.mark.parametrize("more", [{"alone": False}, {"skipped": "two equal calls of it differ"}])
def test_what_stands_elsewhere_too_or_was_not_seen_is_not_judged(check: Any, sight: Sight, more: Any) -> None:
    assert not findings(check, replace(sight, **more))


@pytest.mark.parametrize("check", CHECKS)
def test_not_causal_as_declared(check: Any) -> None:
    assert [type(each) for each in said(check, declared=False)] == [NotApplicable]


def test_a_leak_names_the_operation_and_the_loss() -> None:
    (finding,) = findings(future_leak, LEAKY)
    assert (finding.cause, finding.severity) == (AT, None)
    assert "the next token of `ids`" in finding.message and "without a mask" in finding.message
    assert finding.related == ((LOSS, "its loss"),)


@pytest.mark.parametrize(
    "doubt",
    [
        {"carrier": None},
        {"carrier": replace(ATTENTION, op="mean", reduces=True)},
        {"spreads": True},
        {"wraps": True},
        {"installed": True},
        {"several": False},
    ],
)
def test_a_leak_that_may_be_meant_is_a_suspicion(doubt: Any) -> None:
    (finding,) = findings(future_leak, replace(LEAKY, **doubt))
    assert finding.severity is Severity.SUSPICION


def test_the_last_state_of_an_encoder_is_a_summary() -> None:
    assert not findings(future_leak, replace(LEAKY, carrier=Carrier("gru", AT, AT, reduces=True)))


def test_a_broken_promise_is_a_defect_and_an_unseen_one_open() -> None:
    (finding,) = findings(future_leak, promises=(Promise("model", leaks=((2, 5),), carrier=ATTENTION),), declared=True)
    assert finding.severity is None and finding.cause == AT
    (other,) = said(future_leak, promises=(Promise("model", skipped="no time"),), declared=True)
    assert isinstance(other, Open)


def test_tokens_repeated_through_a_narrow_place_are_meant_to_be() -> None:
    (told,) = said(unshifted_target, replace(COPY, squeezed=True))
    assert isinstance(told, NotApplicable) and "autoencoder" in told.reason


def test_tokens_repeated_beside_a_loss_for_the_next_one_are_suspect_only() -> None:
    (finding,) = findings(unshifted_target, COPY, CAUSAL)
    assert finding.severity is Severity.SUSPICION


def test_a_copy_by_recurrence_is_a_suspicion_and_one_of_few_or_drawn_entries_is_none() -> None:
    (finding,) = findings(unshifted_target, COPY)
    assert (finding.severity, finding.cause) == (None, LOSS)
    (finding,) = findings(unshifted_target, replace(COPY, recurs=True))
    assert finding.severity is Severity.SUSPICION
    for more in ({"share": 0.2}, {"drew": True}, {"later": True}, {"earlier": False}, {"whole": False}):
        assert not findings(unshifted_target, replace(COPY, **more))  # type: ignore[arg-type]


def test_labels_shifted_when_handed_over_make_it_certain() -> None:
    (finding,) = findings(shifted_twice, TWICE)
    assert (finding.severity, finding.cause) == (Severity.SUSPICION, LOSS)
    (finding,) = findings(shifted_twice, replace(TWICE, labels=1, label_name="labels"))
    assert (finding.severity, finding.cause) == (None, CALL)
    assert not findings(shifted_twice, CAUSAL, TWICE), "one head of several"


def test_history_lost_behind_a_gate_is_not_told() -> None:
    assert not findings(lost_history, replace(BLIND, spreads=True))
    assert not findings(lost_history, replace(BLIND, mixer=None))
    assert findings(lost_history, replace(CAUSAL, own=False))


def decoded(*apart: float, **more: Any) -> Decoding:
    return Decoding("model", "", "past", "ids", apart, 1.2e-7, True, "arange", AT, **more)


def test_a_cache_is_compared_at_every_position() -> None:
    def told(*models: Decoding) -> list[Any]:
        return list(cache_mismatch.judge(Caching(models)))

    assert not told(decoded(1e-7, 3e-6))
    (finding,) = told(decoded(1e-7, 0.3))
    assert (finding.severity, finding.cause) == (None, AT)
    (finding,) = told(replace(decoded(1e-7, 0.3), grows=False))
    assert finding.severity is Severity.SUSPICION
    assert not told(replace(decoded(0.02), eps=7.8e-3)), "half precision"
    assert [type(each) for each in told()] == [NotApplicable]
    assert [type(each) for each in told(Decoding("model", "its input is too short"))] == [NotApplicable]


# ── carriers ───────────────────────────────────────────────────────────────────────────────────────────────────────
T, Q = 8, 5


def row(*at: int) -> Spread:
    return Spread((2, T, 16), ((0,), at, tuple(range(16))), True)


def touch(name: str, reads: Any, makes: Any) -> Touch:
    return Touch(name, tuple(reads), tuple(makes), AT, AT)


ONLY, AFTER, ALL = row(Q), row(5, 6, 7), row(*range(T))


def test_the_first_operation_that_reaches_back_is_named() -> None:
    ops = [touch("linear", [ONLY], [ONLY]), touch("conv1d", [ONLY], [row(4, 5, 6)]), touch("relu", [ALL], [ALL])]
    found = carrier_of(ops, Q, {T}, None)
    assert found is not None and (found.op, found.reduces) == ("conv1d", False)


def test_what_only_goes_on_carries_nothing_back() -> None:
    state = Spread((1, 2, 16), ((0,), (0,), tuple(range(16))), True)
    ops = [touch("linear", [ONLY], [ONLY]), touch("relu", [AFTER], [AFTER])]
    assert carrier_of(ops, Q, {T}, None) is None
    assert spreading([*ops, touch("gru", [ONLY], [AFTER, state])], Q, {T})
    summed = carrier_of([*ops, touch("gru", [ONLY], [AFTER, state])], Q, {T}, None)
    assert summed is not None and summed.reduces


def scores(queries: Any, keys: Any) -> Spread:
    return Spread((2, T, T), ((0,), tuple(queries), tuple(keys)), False)


def test_scores_are_judged_when_they_are_masked() -> None:
    whole, masked = scores(range(T), range(T)), scores(range(Q, T), range(T))
    product = touch("matmul", [ONLY, ONLY], [whole])
    right = [product, touch("masked_fill", [whole, scores((), ())], [masked]), touch("matmul", [masked, ONLY], [AFTER])]
    assert carrier_of(right, Q, {T}, None) is None
    wrong = [product, touch("masked_fill", [whole, scores((), ())], [whole]), touch("matmul", [whole, ONLY], [ALL])]
    found = carrier_of(wrong, Q, {T}, None)
    assert found is not None and found.masked
    bare = carrier_of([product, touch("softmax", [whole], [whole]), wrong[-1]], Q, {T}, None)
    assert bare is not None and bare.masked is False


def test_as_many_classes_as_positions_are_no_scores() -> None:
    logits = Spread((2, T, T), ((0,), (Q,), tuple(range(T))), True)
    assert mixer([touch("linear", [ONLY], [logits]), touch("softmax", [logits], [logits])], {T}) is None
