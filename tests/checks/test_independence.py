"""The checks on what samples of a batch do to each other, on evidence written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from smokestep.checks.independence.batch_leak import batch_leak
from smokestep.checks.independence.batch_order import batch_order
from smokestep.checks.independence.batch_size import batch_size
from smokestep.checks.independence.lone_sample import lone_sample
from smokestep.evidence.influence import Influence, Influenced, Meeting, meeting_of
from smokestep.evidence.trials import Spread, Touch
from smokestep.findings import Finding, Line, NotApplicable, Open, Severity

LINE = Line("net.py", 12, "h = h.view(t, b, -1)")
LIBRARY = Line("library/net.py", 40, "h = h.view(t, b, -1)", installed=True)


def seen(**how: Any) -> Influence:
    return Influence((Influenced("net", Line("net.py", 9), picked=3, **how),))


def meeting(op: str = "view", **how: Any) -> Meeting:
    return Meeting(**{"op": op, "line": LINE, "caller": LINE, "torn": op == "view", "joint": False, **how})


def only(check: Any, evidence: Influence) -> Any:
    [said] = check.judge(evidence)
    return said


@pytest.mark.parametrize("check", [batch_leak, batch_order, batch_size, lone_sample])
def test_nothing_is_said_of_a_model_that_keeps_its_samples_apart(check: Any) -> None:
    assert list(check.judge(seen())) == []


@pytest.mark.parametrize("check", [batch_leak, batch_order, batch_size, lone_sample])
def test_what_could_not_be_tried_is_not_applicable(check: Any) -> None:
    assert "one sample" in only(check, seen(skipped="the batch holds one sample")).reason


def test_torn_samples_are_a_defect_on_the_line_that_tears() -> None:
    told = only(batch_leak, seen(leaks=("",), meeting=meeting()))
    assert isinstance(told, Finding) and told.severity is None and told.cause == LINE


def test_torn_by_a_library_is_a_suspicion() -> None:
    told = only(batch_leak, seen(leaks=("",), meeting=meeting(line=LIBRARY)))
    assert told.severity is Severity.SUSPICION


@pytest.mark.parametrize("op", ["multi_head_attention_forward", "gru", "batch_norm", "softmax_", "mean"])
def test_what_runs_along_the_batch_is_a_suspicion(op: str) -> None:
    assert only(batch_leak, seen(leaks=("",), meeting=meeting(op))).severity is Severity.SUSPICION


def test_a_learned_mixture_of_samples_is_a_suspicion() -> None:
    assert only(batch_leak, seen(leaks=("",), meeting=meeting("linear", learned=True))).severity is Severity.SUSPICION


@pytest.mark.parametrize("how", [{"op": "matmul"}, {"op": "mean", "joint": True}, {"op": "index_add"}])
def test_samples_that_meet_in_a_product_are_meant_to(how: dict[str, Any]) -> None:
    assert isinstance(only(batch_leak, seen(leaks=("",), meeting=meeting(**how))), NotApplicable)


def test_samples_that_meet_unseen_leave_it_open() -> None:
    assert isinstance(only(batch_leak, seen(leaks=("",))), Open)


def test_samples_that_were_not_nudged_are_not_kept_apart() -> None:
    assert isinstance(only(batch_leak, seen(fewer="RuntimeError: shape", unasked=True)), Open)


def test_a_place_in_the_batch_that_counts_is_a_defect() -> None:
    told = only(batch_order, seen(order=("",), stray=Touch("add", (), (), LINE, LINE, "positions")))
    assert told.severity is None and told.cause == LINE and told.where.path == "net.positions"


@pytest.mark.parametrize("how", [{"whole": True}, {"installed": True}, {"stray": None}, {"routed": True}])
def test_a_place_in_the_batch_may_belong_to_a_sample(how: dict[str, Any]) -> None:
    evidence = {"order": ("",), "stray": Touch("add", (), (), LINE, LINE), **how}
    assert only(batch_order, seen(**evidence)).severity is Severity.SUSPICION


def test_rows_of_features_may_be_one_sequence_or_have_roles() -> None:
    rows, sequences = Spread((3, 4), ((1,), (0,)), True), Spread((3, 5, 4), ((1,), (0,), (0,)), True)
    told = [only(batch_order, seen(order=("",), stray=touch("add", [each], [each]))) for each in (rows, sequences)]
    assert [each.severity for each in told] == [Severity.SUSPICION, None]


def test_order_is_not_judged_where_samples_influence_each_other() -> None:
    assert isinstance(only(batch_order, seen(leaks=("",), meeting=meeting(), order=("",))), NotApplicable)


def test_a_size_written_out_is_told_with_its_error_and_line() -> None:
    told = only(
        batch_size, seen(fewer="RuntimeError: shape '[8, 64]' is invalid for input of size 192", fewer_line=LINE)
    )
    assert "3 samples: RuntimeError" in told.message and told.cause == LINE


def test_outputs_that_change_with_the_size_are_told() -> None:
    assert "2 samples gives" in only(batch_size, seen(size=("",))).message


def test_a_lost_dimension_is_told_where_it_is_dropped() -> None:
    told = only(lone_sample, seen(alone="its output has the shape (2,)", squeezed=LINE))
    assert told.cause == LINE and "(2,)" in told.message


def spread(rows: tuple[int, ...], size: int) -> Spread:
    return Spread((size, 4), (rows, (0, 1, 2, 3)), True)


def touch(name: str, reads: list[Spread], makes: list[Spread], **how: Any) -> Touch:
    return Touch(name, tuple(reads), tuple(makes), LINE, LINE, **how)


def test_samples_meet_in_the_first_operation_that_does_not_keep_them_apart() -> None:
    apart, flat, mixed = spread((1,), 3), spread((2, 3), 6), spread((0, 1, 2), 3)
    path = [touch("linear", [apart], [apart]), touch("view", [apart], [flat]), touch("softmax", [flat], [mixed])]
    found = meeting_of(path, 3)
    assert found is not None and found.op == "softmax" and not found.torn


@pytest.mark.parametrize(("shape", "torn"), [((2, 12, 4), False), ((1, 24, 4), False), ((3, 32), True), ((4, 3), True)])
def test_a_view_tears_samples_only_if_its_rows_can_be_taken_for_them(shape: tuple[int, ...], torn: bool) -> None:
    everywhere = Spread(shape, tuple(tuple(range(size)) for size in shape), True)
    found = meeting_of([touch("view", [spread((1,), 3)], [everywhere])], 3)
    assert found is not None and found.torn is torn


def test_a_view_tears_no_samples_that_have_met_before() -> None:
    everywhere = Spread((3, 8), (tuple(range(3)), tuple(range(8))), True)
    chosen = [
        meeting_of([touch("view", [spread(rows, 12)], [everywhere])], 3) for rows in ((4, 5, 7), (1, 4, 10), (4, 9))
    ]
    assert [each.torn for each in chosen if each] == [True, True, False]


def test_samples_that_stay_apart_never_meet() -> None:
    assert meeting_of([touch("linear", [spread((1,), 3)], [spread((1,), 3)])], 3) is None


def test_a_sorting_brings_samples_together_only_if_nothing_else_does() -> None:
    apart, mixed = spread((1,), 3), spread((0, 1, 2), 3)
    sort, gru = touch("sort", [apart], [mixed]), touch("gru", [apart], [mixed])
    assert [meeting_of(path, 3).op for path in ([sort], [sort, gru])] == ["sort", "gru"]  # type: ignore[union-attr]


def test_rows_merged_with_something_else_are_torn_by_the_view_that_merged_them() -> None:
    apart, merged, mixed = spread((1,), 3), spread((2, 3), 6), spread((0, 1, 2, 3, 4, 5), 6)
    found = meeting_of([touch("reshape", [apart], [merged]), touch("gru", [merged], [mixed])], 3)
    assert found is not None and found.torn and found.op == "reshape"
