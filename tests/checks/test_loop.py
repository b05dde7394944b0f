"""The loop checks on events written by hand: what each tells, and the healthy loops that look like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.loop.cleared_gradients import cleared_gradients
from smokestep.checks.loop.closure_without_backward import closure_without_backward
from smokestep.checks.loop.early_scheduler import early_scheduler
from smokestep.checks.loop.misplaced_clip import misplaced_clip
from smokestep.checks.loop.misscaled_accumulation import misscaled_accumulation
from smokestep.checks.loop.no_step import no_step
from smokestep.checks.loop.stale_gradients import stale_gradients
from smokestep.checks.loop.step_before_backward import step_before_backward
from smokestep.checks.loop.uneven_accumulation import uneven_accumulation
from smokestep.checks.loop.zero_learning_rate import zero_learning_rate
from smokestep.evidence.accumulation import Accumulation, Micro
from smokestep.evidence.accumulation import Group as Together
from smokestep.evidence.gradients import follow
from smokestep.evidence.steps import Event, Group, Movement, Optimizer, Steps
from smokestep.findings import Finding, Line, NotApplicable, Open, Severity

KINDS: dict[str, Any] = {
    "Z": "zero_grad", "F": "forward", "B": "backward", "C": "clip", "N": "unscale", "U": "update", "S": "scheduler",
    "M": "manual", "E": "error",
}  # fmt: skip
OPTIMIZERS = {"adam": ("w",), "d": ("disc",), "g": ("gen",)}


def loop(*steps: str, **more: Any) -> Steps:
    """A loop written in letters, a string a step, in which "B:w,v" names parameters, "Ud" or "Zd" the optimizer.

    The line of an event is its place in its step, so that the same call has the same line in every step.
    """
    events: list[Event] = []
    for step, text in enumerate(steps):
        for place, word in enumerate(text.split(), start=1):
            head, _, given = word.partition(":")
            subject = (head[1:] or "adam") if head[0] in "ZUSN" else ""
            names = tuple(given.split(",")) if given else OPTIMIZERS.get(subject, ("w",))
            detail: dict[str, Any] = {}
            events.append(Event(len(events), step, KINDS[head[0]], Line("t.py", place), subject, names, detail))
    # what the recorder measures: a gradient that an update had used was there when the next backward pass began
    carried: dict[tuple[int, str], float] = {}
    used: set[str] = set()
    for event in events:
        for name in event.parameters:
            if event.kind == "backward" and name in used:
                carried[event.step, name] = 0.5
        used = used | set(event.parameters) if event.kind == "update" else used
        used = used - set(event.parameters) if event.kind == "zero_grad" else used
    names = sorted({name for event in events for name in event.parameters})
    movements = tuple(
        Movement(step, name, 0.5, 0.5, 0.1, 1.0, carried.get((step, name)))
        for step in range(len(steps))
        for name in names
    )
    subjects = {event.subject for event in events if event.kind in ("update", "zero_grad") and event.subject} or {
        "adam"
    }
    optimizers = tuple(
        Optimizer(name, "Adam", (Group(OPTIMIZERS[name], (0.1,) * len(steps)),), Line("t.py", 90))
        for name in sorted(subjects)
    )
    return replace(Steps(len(steps), tuple(events), (), movements, optimizers, (None,) * len(steps)), **more)


def still(steps: Steps) -> Steps:
    """The same loop in which nothing moved."""
    return replace(steps, movements=tuple(replace(move, update=0.0) for move in steps.movements))


def findings(check: Any, steps: Steps) -> list[Finding]:
    evidence = (steps, follow(steps))[: len(check.needs)]
    return [each for each in check.judge(*evidence) if isinstance(each, Finding)]


def reasons(check: Any, steps: Steps, kind: type) -> list[str]:
    evidence = (steps, follow(steps))[: len(check.needs)]
    return [each.reason for each in check.judge(*evidence) if isinstance(each, kind)]


HEALTHY: dict[str, Sequence[str]] = {
    "clear first": ["Z F B U"] * 3,
    "clear last": ["F B U Z"] * 3,
    "clear between forward and backward": ["F Z B U"] * 3,
    "clip and scheduler": ["Z F B C U S"] * 3,
    "accumulation": ["F B", "F B U Z", "F B", "F B U Z"],
    "accumulation with a clip a micro-batch": ["Z F B C F B C U"] * 3,
    "several updates a step": ["Z F B U Z F B U"] * 2,
    "two losses, one update": ["Z F B F B U"] * 3,
    "GAN, the generator's step leaves gradient in the discriminator": [
        "Zd F B:disc Ud Zg F B:gen,disc Ug"
    ] * 3,
    "GAN, generator first": ["Zg F B:gen,disc Ug Zd F B:disc Ud"] * 3,
    "GAN, the fake is not detached in the discriminator's step": ["Zd F B:gen,disc Ud Zg F B:gen,disc Ug"] * 3,
    "GAN, both cleared at once": ["Zd Zg F B:disc Ud F Zg Zd B:gen,disc Ug"] * 3,
    "critic trained more often than the generator": ["Zd F B:disc Ud"] * 2 + ["Zd F B:disc Ud Zg F B:gen,disc Ug"],
    "sharpness-aware: perturbed by hand, twice backward": ["F B M Z F B M U Z"] * 3,
    "an evaluation before every update": ["Z F B F U"] * 3,
    "update by hand": ["F B:v M:v Z:v"] * 3,
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize(
    "check", [stale_gradients, cleared_gradients, step_before_backward, no_step, misplaced_clip, early_scheduler],
    ids=lambda check: check.name,
)  # fmt: skip
def test_healthy_loop_has_no_finding(check: Any, name: str) -> None:
    assert findings(check, loop(*HEALTHY[name])) == []


@pytest.mark.parametrize(
    "check", [stale_gradients, cleared_gradients, step_before_backward, no_step, misplaced_clip, early_scheduler,
              closure_without_backward], ids=lambda check: check.name,
)  # fmt: skip
def test_a_loop_of_smokestep_own_is_not_judged(check: Any) -> None:
    assert reasons(check, loop("F B U", "F B U", own_loop=True), NotApplicable) == ["the loop was smokestep's own"]


def test_stale_gradients_names_the_backward_line_that_adds_to_old_gradients() -> None:
    (finding,) = findings(stale_gradients, loop("F B U", "F B U", "F B U"))
    assert finding.severity is None
    assert finding.cause == Line("t.py", 2)
    assert finding.subjects == ("w",)


def test_stale_gradients_sees_updates_within_one_step() -> None:
    assert findings(stale_gradients, loop("Z F B U F B U"))


def test_stale_gradients_counts_only_gradients_that_were_measured() -> None:
    steps = loop("F B U", "F B U")
    cleared_unseen = replace(steps, movements=tuple(replace(move, carried=0.0) for move in steps.movements))
    assert findings(stale_gradients, cleared_unseen) == []


def test_stale_gradients_of_one_of_two_optimizers() -> None:
    (finding,) = findings(stale_gradients, loop(*["Zd F B:disc,gen Ud Ug"] * 3))
    assert finding.subjects == ("gen",)


def test_stale_gradients_by_hand_is_a_suspicion() -> None:
    steps = loop(*["F B:v M:v"] * 3)
    carried = tuple(replace(move, carried=0.5) for move in steps.movements)
    (finding,) = findings(stale_gradients, replace(steps, movements=carried))
    assert finding.severity is Severity.SUSPICION


def test_stale_gradients_is_open_after_a_single_update() -> None:
    assert reasons(stale_gradients, loop("F B", "F B", "F B U"), Open)


def test_stale_gradients_spares_a_gradient_put_in_by_hand() -> None:
    steps = loop("F B U", "F B Z U", "F B Z U")
    by_hand = tuple(replace(e, detail={"replaced": True}) if e.kind == "zero_grad" else e for e in steps.events)
    assert findings(stale_gradients, replace(steps, events=by_hand)) == []
    assert findings(cleared_gradients, replace(steps, events=by_hand)) == []


def test_cleared_gradients_names_the_clearing_line() -> None:
    (finding,) = findings(cleared_gradients, loop(*["F B Z U"] * 3))
    assert finding.severity is None
    assert finding.cause == Line("t.py", 3)
    assert finding.subjects == ("w",)


def test_cleared_gradients_of_some_parameters_is_a_suspicion() -> None:
    steps = loop(*["Z:w,v F B:w,v Z:v U:w"] * 3)
    both = (Optimizer("adam", "Adam", (Group(("w", "v"), (0.1,)),)),)
    (finding,) = findings(cleared_gradients, replace(steps, optimizers=both))
    assert finding.severity is Severity.SUSPICION
    assert finding.subjects == ("v",)


def test_step_before_backward_after_clearing_never_has_a_gradient() -> None:
    steps = loop(*["Z F U: B"] * 3)
    steps = replace(steps, events=tuple(replace(e, parameters=()) if e.kind == "update" else e for e in steps.events))
    (finding,) = findings(step_before_backward, steps)
    assert finding.severity is None
    assert finding.cause == Line("t.py", 3)
    assert finding.related == ((Line("t.py", 4), "the backward pass"),)


def test_step_before_backward_with_the_gradients_of_the_step_before_is_a_suspicion() -> None:
    (finding,) = findings(step_before_backward, loop(*["F U Z B"] * 3))
    assert finding.severity is Severity.SUSPICION


def test_step_before_backward_explains_what_torch_raised() -> None:
    error = (
        "RuntimeError: one of the variables needed for gradient computation has been modified by an inplace operation"
    )
    steps = loop("Z F B U", "F U E", error=error, error_line=Line("t.py", 4))
    (finding,) = findings(step_before_backward, steps)
    assert finding.severity is None
    assert finding.related == ((Line("t.py", 4), "the backward pass"),)


def test_no_step_is_certain_where_gradients_are_cleared_unused() -> None:
    (finding,) = findings(no_step, still(loop(*["Z F B"] * 3)))
    assert finding.severity is None
    assert finding.cause == Line("t.py", 3)


def test_no_step_is_open_while_the_loop_may_be_accumulating() -> None:
    steps = still(loop(*["F B"] * 3))
    assert findings(no_step, steps) == []
    assert reasons(no_step, steps, Open)


def test_no_step_is_a_suspicion_when_nothing_happens_for_long() -> None:
    (finding,) = findings(no_step, still(loop(*["F B"] * 16)))
    assert finding.severity is Severity.SUSPICION


def test_no_step_is_silent_where_parameters_move_without_an_optimizer() -> None:
    assert findings(no_step, loop(*["Z F B"] * 3)) == []


def test_no_step_of_one_of_two_optimizers_is_a_suspicion() -> None:
    (finding,) = findings(no_step, loop(*["Zd Zg F B:disc,gen Ud"] * 8))
    assert finding.severity is Severity.SUSPICION
    assert finding.where.path == "g"


def test_no_step_is_open_for_an_optimizer_that_may_step_less_often() -> None:
    steps = loop("Zd F B:disc,gen Ud", "Zd F B:disc,gen Ud", "Zd F B:disc,gen Ud")
    waiting = (*steps.optimizers, Optimizer("g", "Adam", (Group(("gen",), ()),)))
    assert findings(no_step, replace(steps, optimizers=waiting)) == []
    assert reasons(no_step, replace(steps, optimizers=waiting), Open)


def test_misplaced_clip_after_the_update() -> None:
    (finding,) = findings(misplaced_clip, loop(*["Z F B U C"] * 3))
    assert finding.severity is None
    assert finding.cause == Line("t.py", 5)
    assert "after the update" in finding.message


def test_misplaced_clip_before_the_backward_pass() -> None:
    (finding,) = findings(misplaced_clip, loop(*["Z F C B U"] * 3))
    assert "before the backward pass" in finding.message


def test_misplaced_clip_spares_a_norm_that_is_only_measured() -> None:
    steps = loop(*["Z F B U C"] * 3)
    measured = tuple(replace(e, detail={"limit": float("inf")}) if e.kind == "clip" else e for e in steps.events)
    assert findings(misplaced_clip, replace(steps, events=measured)) == []


def test_misplaced_clip_spares_a_second_clip_of_what_is_clipped_in_time() -> None:
    assert findings(misplaced_clip, loop(*["Z F B C U C"] * 3)) == []


def test_misplaced_clip_of_scaled_gradients_is_a_suspicion() -> None:
    (finding,) = findings(misplaced_clip, loop(*["Z F B C N U"] * 3))
    assert finding.severity is Severity.SUSPICION
    assert finding.cause == Line("t.py", 4)


def test_misplaced_clip_spares_a_network_unscaled_before_the_other() -> None:
    steps = loop(*["Zd Zg F B:disc,gen Nd C:disc,gen Ng C:disc,gen Ud Ug"] * 3)
    assert findings(misplaced_clip, steps) == []


def test_misplaced_clip_after_unscaling_is_right() -> None:
    assert findings(misplaced_clip, loop(*["Z F B N C U"] * 3)) == []


def closures(kind: str, **detail: Any) -> Steps:
    steps = loop(*["F U"] * 3)
    events = tuple(
        replace(e, detail={"closure": True, **detail}, parameters=e.parameters if detail.get("outside") else ())
        if e.kind == "update"
        else e
        for e in steps.events
    )
    optimizers = tuple(replace(each, kind=kind, needs_closure=kind == "LBFGS") for each in steps.optimizers)
    return replace(steps, events=events, optimizers=optimizers)


def test_closure_without_backward_and_without_gradient() -> None:
    (finding,) = findings(closure_without_backward, closures("LBFGS", closure_backwards=0))
    assert finding.severity is None


def test_closure_without_backward_reusing_gradients_from_outside_is_a_suspicion() -> None:
    (finding,) = findings(closure_without_backward, closures("LBFGS", closure_backwards=0, outside=True))
    assert finding.severity is Severity.SUSPICION


def test_closure_that_only_reports_the_loss_is_right_for_an_optimizer_that_needs_none() -> None:
    assert findings(closure_without_backward, closures("SGD", closure_backwards=0, outside=True)) == []


def test_closure_with_backward_is_right() -> None:
    assert findings(closure_without_backward, closures("LBFGS", closure_backwards=4)) == []


def test_closure_missing_is_told_from_the_error() -> None:
    error = "TypeError: LBFGS.step() missing 1 required positional argument: 'closure'"
    (finding,) = findings(closure_without_backward, loop("Z F B E", error=error, error_line=Line("t.py", 4)))
    assert finding.cause == Line("t.py", 4)


def test_early_scheduler_in_the_loop() -> None:
    (finding,) = findings(early_scheduler, loop(*["Z F B S U"] * 3))
    assert finding.severity is None
    assert finding.cause == Line("t.py", 4)


def test_early_scheduler_once_before_the_loop_is_a_suspicion() -> None:
    (finding,) = findings(early_scheduler, loop("S", "Z F B U S", "Z F B U S"))
    assert finding.severity is Severity.SUSPICION


@pytest.mark.parametrize("detail", [{"explicit": True}, {"kind": "ReduceLROnPlateau"}])
def test_early_scheduler_spares_calls_that_set_a_rate(detail: dict[str, Any]) -> None:
    steps = loop(*["Z F B S U"] * 3)
    events = tuple(replace(e, detail=detail) if e.kind == "scheduler" else e for e in steps.events)
    assert findings(early_scheduler, replace(steps, events=events)) == []


def test_early_scheduler_spares_an_optimizer_that_steps_less_often_than_another() -> None:
    seldom = ["Zd F B:disc Ud Sd Sg"] * 2 + ["Zd F B:disc Ud Zg F B:gen Ug Sd Sg"]
    assert findings(early_scheduler, loop(*seldom)) == []


def test_early_scheduler_says_nothing_beside_a_gradient_scaler() -> None:
    assert findings(early_scheduler, loop(*["Z F B S N U"] * 3)) == []


def rates(*given: float, moved: float = 0.0) -> Steps:
    steps = loop(*["Z F B U"] * len(given))
    optimizers = (Optimizer("adam", "Adam", (Group(("w",), given),), Line("t.py", 90)),)
    movements = tuple(replace(move, update=moved) for move in steps.movements)
    return replace(steps, optimizers=optimizers, movements=movements)


def test_zero_learning_rate_at_every_update() -> None:
    (finding,) = findings(zero_learning_rate, rates(0.0, 0.0, 0.0))
    assert finding.cause == Line("t.py", 90)
    assert finding.subjects == ("w",)


def test_zero_learning_rate_spares_a_warm_up() -> None:
    assert findings(zero_learning_rate, rates(0.0, 0.01, 0.02, moved=0.1)) == []


def test_zero_learning_rate_spares_an_optimizer_that_moves_without_one() -> None:
    assert findings(zero_learning_rate, rates(0.0, 0.0, 0.0, moved=0.1)) == []


def test_zero_learning_rate_is_open_after_a_single_update() -> None:
    assert reasons(zero_learning_rate, rates(0.0), Open)


def test_zero_learning_rate_of_one_group_beside_others_is_right() -> None:
    steps = rates(0.1, 0.1)
    groups = (Group(("w",), (0.0, 0.0)), Group(("v",), (0.1, 0.1)))
    assert findings(zero_learning_rate, replace(steps, optimizers=(Optimizer("adam", "Adam", groups),))) == []


# ── accumulation ────────────────────────────────────────────────────────────────────────────────────────────────────
def micro(factor: float = 1.0, count: int | None = 4, divisors: tuple[float, ...] = (), **more: Any) -> Micro:
    return Micro(
        factor, divisors, count, more.get("reduction", "mean"), "cross_entropy", Line("t.py", 3), Line("t.py", 4)
    )


def accumulating(check: Any, *micros: Micro, kind: str = "SGD", decay: float = 0.0, **more: Any) -> list[Any]:
    optimizer = Optimizer("adam", kind, (Group(("w",), (0.1,), decay),))
    steps = replace(loop("Z F B F B U"), optimizers=(optimizer,))
    return list(check.judge(Accumulation((Together("adam", 0, micros, **more),)), steps))


def test_mean_losses_that_are_only_added_up_are_told() -> None:
    (told,) = accumulating(misscaled_accumulation, *[micro()] * 4)
    assert "4 times that of one batch" in told.message and told.cause == Line("t.py", 4)
    (told,) = accumulating(misscaled_accumulation, *[micro(0.25, divisors=(2.0, 2.0))] * 2)
    assert "divided by 2 twice" in told.message and "0.5 times" in told.message


@pytest.mark.parametrize(
    "micros",
    [
        [micro(0.5, divisors=(2.0,))] * 2,
        [micro(reduction="sum")] * 2,
        [micro(0.1)] * 2,
        [micro(0.25)] * 2,
        [micro(1.0), micro(0.5)],
    ],
)
def test_other_weights_are_somebody_s_choice(micros: list[Micro]) -> None:
    assert accumulating(misscaled_accumulation, *micros) == []


@pytest.mark.parametrize(
    ("kind", "more", "told"),
    [
        ("Adam", {}, False),
        ("AdamW", {"decay": 0.01}, False),
        ("Adam", {"decay": 0.01}, True),
        ("AdamW", {"clipped": True}, True),
        ("SGD", {}, True),
        ("MyOwn", {}, True),
    ],
)
def test_the_size_of_the_gradient_matters_to_some_optimizers_only(kind: str, more: Any, told: bool) -> None:
    said = accumulating(misscaled_accumulation, *[micro()] * 2, kind=kind, **more)
    assert [type(each) for each in said] == [Finding if told else NotApplicable]


def test_unequal_micro_batches_are_told_with_their_numbers() -> None:
    (told,) = accumulating(uneven_accumulation, micro(0.5, 64), micro(0.5, 8), kind="Adam")
    assert "64, 8 targets" in told.message and "8.0 times" in told.message
    assert accumulating(uneven_accumulation, micro(8 / 9, 64), micro(1 / 9, 8)) == []
    assert accumulating(uneven_accumulation, micro(0.5, 3), micro(0.5, 2)) == []  # the last one of a batch cut up


@pytest.mark.parametrize("check", [misscaled_accumulation, uneven_accumulation], ids=lambda check: check.name)
def test_what_is_no_plain_accumulation_is_told_with_the_reason(check: Any) -> None:
    assert accumulating(check, skipped="one run over time") == [NotApplicable("one run over time")]
    assert [type(each) for each in check.judge(Accumulation(()), loop("Z F B U"))] == [NotApplicable]
