"""The engine judges, collects and refuses; these tests need no framework, only hand-written evidence."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from tests.fakes import World, backend, made, recording

import smokestep
from smokestep import config, privacy
from smokestep.config import Config, ConfigError
from smokestep.engine import TrainingError
from smokestep.evidence.flow import Flow
from smokestep.evidence.steps import Parameter, Steps
from smokestep.findings import Finding, Line, NotApplicable, Open, Place, Severity, Verdict
from smokestep.judging import judge
from smokestep.world import NotOffered


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Examine with these checks only, in this world."""
    monkeypatch.setattr(config, "_builtin", tuple)

    def examine(*checks: Any, world: World | None = None, door: Any = smokestep.examine, **keywords: Any) -> Any:
        world = world or World(recording())
        for name, module in backend(world).items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(privacy, "BACKENDS", {"fake_framework": "fake_backend"})
        return door(keywords.pop("training", training), checks=checks, config=Config(), **keywords)

    return examine


def training() -> smokestep.Training:
    return smokestep.Training(lambda batch: None, 1)


def dead(steps: Steps) -> Iterator[Finding]:
    yield Finding("no gradient", Place("conv.weight"), Line("net.py", 3), subjects=("conv.weight",))


def quiet(steps: Steps) -> Iterator[Finding]:
    yield from ()


DEAD, QUIET = made(dead), made(quiet)


def test_a_finding_is_stamped_with_check_and_severity(run):
    (finding,) = run(DEAD).findings
    assert (finding.check, finding.severity) == ("dead", Severity.DEFECT)


def test_a_check_can_lower_its_severity(run):
    def lower(steps: Steps):
        yield Finding("perhaps", severity=Severity.SUSPICION)

    assert [each.check for each in run(made(lower)).suspicions] == ["lower"]


def test_a_check_cannot_raise_its_severity(run):
    def higher(steps: Steps):
        yield Finding("surely", severity=Severity.DEFECT)

    assert run(made(higher, severity="suspicion")).defects == ()


def test_nothing_said_is_a_pass(run):
    report = run(QUIET)
    assert report.verdict is Verdict.PASS and report.checks["quiet"].verdict is Verdict.PASS


def test_a_defect_fails(run):
    assert run(DEAD, QUIET).verdict is Verdict.FAIL


@pytest.mark.parametrize(("strict", "verdict"), [(False, Verdict.PASS), (True, Verdict.FAIL)])
def test_a_suspicion_fails_under_strict_only(run, strict, verdict):
    assert run(made(dead, severity="suspicion"), strict=strict).verdict is verdict


def test_open_and_not_applicable_keep_their_reasons(run):
    def unsure(steps: Steps):
        yield Open("an opaque call")

    def elsewhere(steps: Steps):
        yield NotApplicable("no normalization")

    checks = run(made(unsure), made(elsewhere)).checks
    assert (checks["unsure"].verdict, checks["unsure"].reason) == (Verdict.OPEN, "an opaque call")
    assert (checks["elsewhere"].verdict, checks["elsewhere"].reason) == (Verdict.NOT_APPLICABLE, "no normalization")


def test_no_judgement_at_all_is_open(run):
    def unsure(steps: Steps):
        yield Open("an opaque call")

    assert run(made(unsure)).verdict is Verdict.OPEN
    assert run().verdict is Verdict.OPEN


def test_a_check_that_breaks_is_open(run):
    def broken(steps: Steps):
        raise KeyError("gone")
        yield

    outcome = run(made(broken), QUIET).checks["broken"]
    assert outcome.verdict is Verdict.OPEN and outcome.reason == "the check itself failed: KeyError: 'gone'"


def test_a_check_that_breaks_after_a_finding_still_fails(run):
    def broken(steps: Steps):
        yield from dead(steps)
        raise KeyError

    outcome = run(made(broken)).checks["broken"]
    assert outcome.verdict is Verdict.FAIL and "the check itself failed" in outcome.reason


@dataclass(frozen=True)
class Derived:
    """Evidence of a test's own, gathered from others."""

    @classmethod
    def gather(cls, world, of):
        of(Flow)
        raise cls.error

    error = ValueError("bug")


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("bug"), "gathering Derived failed: ValueError: bug"), (NotOffered("not on a TPU"), "not on a TPU")],
)
def test_evidence_that_cannot_be_gathered_leaves_its_checks_open(run, monkeypatch, error, reason):
    def needy(derived: Derived, flow: Flow):
        yield Finding("never")

    monkeypatch.setattr(Derived, "error", error)
    checks = run(made(needy), QUIET).checks
    assert (checks["needy"].verdict, checks["needy"].reason) == (Verdict.OPEN, reason)
    assert checks["quiet"].verdict is Verdict.PASS


def test_evidence_is_gathered_once(run):
    gathered = []

    @dataclass(frozen=True)
    class Counted:
        @classmethod
        def gather(cls, world, of):
            gathered.append(1)
            return cls()

    globals()["Counted"] = Counted

    def one(counted: Counted):
        yield from ()

    def two(counted: Counted):
        yield from ()

    run(made(one), made(two))
    assert gathered == [1]


def test_a_recording_that_fails_is_open_and_not_run_again(run):
    world = World(RuntimeError("recorder bug"))
    report = run(QUIET, DEAD, world=world)
    assert world.runs == 1 and report.verdict is Verdict.OPEN
    assert report.checks["dead"].reason == "the recording itself failed: RuntimeError: recorder bug"


def test_a_wrong_declaration_reaches_the_user(run):
    with pytest.raises(ConfigError, match="no parameter"):
        run(QUIET, world=World(ConfigError("trains: no parameter 'encoder'")))


def test_options_reach_the_check(run):
    def limited(steps: Steps, *, limit: float = 1.0):
        yield Finding(f"limit {limit}")

    report = run(made(limited), options={"limited": {"limit": 2}})
    assert report.findings[0].message == "limit 2"


def test_a_selected_family_runs_alone(run):
    report = run(DEAD, QUIET, select=["quiet"])
    assert list(report.checks) == ["quiet"] and report.left_out == ("dead",)


def test_what_runs_on_request_is_named_and_runs_when_asked_for(run):
    @smokestep.check(severity="suspicion", since="0.1", on_request=True)
    def patient(steps: Steps):
        yield Finding("it took long")

    report = run(QUIET, patient)
    assert list(report.checks) == ["quiet"] and report.on_request == ("patient",) and report.left_out == ()
    for words in (["patient"], ["default", "patient"], "all"):
        assert [each.check for each in run(QUIET, patient, select=words).findings] == ["patient"]
    assert "patient" not in run(QUIET, patient, select="suspicion").checks
    assert run(QUIET, patient, ignore=["patient"]).on_request == ()


@dataclass(frozen=True)
class Experiment:
    """Evidence that is gathered by an experiment, and takes other evidence with it."""

    experiment: ClassVar[str] = "nothing is changed"
    inferred: tuple[str, ...] = ("took one thing for another",)

    @classmethod
    def gather(cls, world, of):
        of(Steps)
        return cls()


def test_an_experiment_is_told_with_its_seconds_and_what_it_assumed(run):
    def trying(experiment: Experiment):
        yield from ()

    report = run(made(trying), QUIET)
    assert list(report.experiments) == ["experiment"] and report.experiments["experiment"] >= 0
    assert report.inferred == ("took one thing for another",)
    assert run(QUIET).experiments == {} and run(QUIET).inferred == ()


def test_no_experiment_after_a_loop_was_cut_off():
    def trying(experiment: Tried):
        yield from ()

    settings = config.settle(Config(), checks=[made(trying)], select="trying")
    report = judge(World(recording()), settings, experiments=False)
    assert report.checks["trying"].reason == "the loop was cut off, so no experiment was made"


@dataclass(frozen=True)
class Tried:
    """Evidence that wants the world's lab."""

    @classmethod
    def gather(cls, world, of):
        world.lab()
        return cls()


def test_an_allowed_finding_is_listed_with_its_reason(run):
    report = run(DEAD, allow=[smokestep.allow("dead", "conv.*", why="kept for the checkpoint")])
    assert report.verdict is Verdict.PASS and report.findings == ()
    assert [(finding.check, why) for finding, why in report.allowed] == [("dead", "kept for the checkpoint")]
    assert report.checks["dead"].reason == "allowed: kept for the checkpoint"


def test_an_allowance_permits_only_findings_all_of_whose_subjects_match(run):
    def two(steps: Steps):
        yield Finding("no gradient", subjects=("conv.weight", "head.weight"))

    assert run(made(two), allow=[smokestep.allow("two", "conv.*", why="x")]).defects


def test_an_unused_allowance_is_a_finding(run):
    report = run(DEAD, QUIET, allow=[smokestep.allow("quiet", why="x")], ignore=["dead"])
    assert [each.check for each in report.suspicions] == ["unused-allowance"]


@pytest.mark.parametrize(("where", "told"), [("*", False), ("elsewhere.*", False), ("conv.*", True)])
def test_a_projects_allowance_is_unused_only_where_it_names_something(run, where, told):
    world = World(recording(parameters=(Parameter("conv.weight", (1,), "float32", 1, True),)))
    report = run(QUIET, world=world, allow=[config.Allowance("quiet", where, "x", project=True)])
    assert bool(report.suspicions) is told


def test_an_allowance_of_a_check_that_did_not_run_is_not_unused(run):
    assert run(DEAD, QUIET, allow=[smokestep.allow("dead", why="x")], ignore=["dead"]).findings == ()


def test_allowances_hold_around_a_call_and_in_the_training(run):
    with smokestep.allow("dead", why="around"):
        assert run(DEAD).findings == ()

    @smokestep.allow("dead", why="decorated")
    def decorated():
        return run(DEAD)

    assert decorated().findings == ()
    permitted = smokestep.Training(lambda: None, allow=[smokestep.allow("dead", why="in it")])
    assert run(DEAD, training=permitted).findings == ()
    assert run(DEAD).findings


def test_the_training_is_described(run):
    report = run(QUIET, seed=5)
    assert (report.training.name, report.training.file, report.seed, report.steps) == ("training", __file__, 5, 3)
    assert report.versions["framework"] == "fake 1.0" and report.cost["steps"] == 0.25


def test_plain_parts_are_a_training_of_our_own(run):
    class Part:
        def __call__(self, value):
            return self

        zero_grad = backward = step = lambda self: None

    part = Part()
    world = World(recording())
    report = run(QUIET, world=world, training=None, model=part, loss=lambda *_: part, optimizer=part, batch=(1, 2))
    assert report.training.name == "parts" and world.subject.own_loop


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"training": None}, "model and loss and optimizer and batch missing"),
        ({"training": None, "model": 1, "loss": len, "optimizer": 1}, "batch missing"),
        ({"training": None, "model": 1, "loss": len, "optimizer": 1, "batch": 3}, "must be a pair"),
        ({"model": 1}, "not both"),
        ({"training": 3}, "got an int"),
        ({"training": lambda: 3}, "must return a smokestep.Training"),
    ],
)
def test_wrong_arguments_are_refused(run, keywords, message):
    with pytest.raises(TypeError, match=message):
        run(QUIET, **keywords)


def test_without_a_framework_it_says_which_it_knows(run, monkeypatch):
    def door(*arguments, **keywords):
        monkeypatch.setattr(privacy, "BACKENDS", {"absent": "absent"})
        return smokestep.examine(*arguments, **keywords)

    with pytest.raises(RuntimeError, match="import one of absent"):
        run(QUIET, door=door)


def test_verify_gives_the_report_of_a_clean_training(run):
    assert run(QUIET, door=smokestep.verify).verdict is Verdict.PASS


def test_verify_raises_with_the_report_as_text(run):
    with pytest.raises(smokestep.TrainingDefect, match="no gradient") as caught:
        run(DEAD, door=smokestep.verify)
    assert isinstance(caught.value, AssertionError) and caught.value.report.defects


def raising() -> smokestep.Training:
    def step():
        raise ValueError("no")

    return smokestep.Training(step)


def test_a_step_that_raises_is_told_and_nothing_is_green(run):
    report = run(QUIET, world=World(recording(2, raised_at=1)), training=raising)
    assert report.verdict is Verdict.OPEN
    assert str(report.error) == "the step raised ValueError: no at train.py:7, after 1 complete step"


def test_verify_raises_from_the_steps_own_exception(run):
    with pytest.raises(TrainingError, match="ValueError: no") as caught:
        run(QUIET, world=World(recording(1, raised_at=0)), training=raising, door=smokestep.verify)
    assert isinstance(caught.value.__cause__, ValueError)


def test_checks_see_the_complete_steps_of_a_run_that_raised(run):
    def counting(steps: Steps):
        yield Finding(f"{steps.count} steps, error {steps.of('error')}")

    report = run(made(counting), world=World(recording(3, raised_at=2)), training=raising)
    assert report.findings[0].message == "2 steps, error ()"


def test_without_a_complete_step_only_partial_checks_judge(run):
    partial = made(dead, partial=True)

    def whole(steps: Steps):
        yield Finding("never stepped")

    report = run(partial, made(whole), world=World(recording(1, raised_at=0)), training=raising)
    assert [each.check for each in report.findings] == ["dead"]
    assert report.checks["whole"].reason == "the step raised before it was complete"


def test_verify_prefers_a_defect_that_explains_the_exception(run):
    with pytest.raises(smokestep.TrainingDefect):
        run(made(dead, partial=True), world=World(recording(1, raised_at=0)), training=raising, door=smokestep.verify)


def test_an_interrupt_goes_through(run):
    def interrupted() -> smokestep.Training:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(QUIET, training=interrupted)


def test_what_could_not_be_put_back_is_a_finding(run):
    report = run(QUIET, world=World(recording(), changed=("model.weight",)))
    assert [(each.check, each.subjects) for each in report.suspicions] == [("private-world", ("model.weight",))]


def test_watch_has_its_report_after_the_block(run):
    def door(training, **keywords):
        with smokestep.watch(**keywords) as watched:
            with pytest.raises(RuntimeError, match="when the .* block has ended"):
                watched.report  # noqa: B018
        return watched.report

    assert run(DEAD, door=door).verdict is Verdict.FAIL


def test_watch_reports_a_block_that_raised_and_lets_it_go_on(run):
    def door(training, **keywords):
        with pytest.raises(ZeroDivisionError), smokestep.watch(**keywords) as watched:
            1 / 0  # noqa: B018
        return watched.report

    report = run(QUIET, door=door)
    assert report.verdict is Verdict.OPEN and report.error.message == "ZeroDivisionError: division by zero"
    assert report.error.line.file == __file__


def test_import_is_light():
    code = (
        "import sys, smokestep; heavy = {'torch', 'numpy', 'rich', 'click', 'jax', 'tensorflow'} & set(sys.modules); "
        "assert not heavy, heavy; smokestep.examine, smokestep.allow; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_they_are_few():
    assert all(getattr(smokestep, name) for name in smokestep.__all__)
    assert len(smokestep.__all__) <= 15
    with pytest.raises(AttributeError, match="no attribute 'Trainer'"):
        smokestep.Trainer  # noqa: B018


def test_allowances_of_a_built_training_hold(run):
    def building() -> smokestep.Training:
        return smokestep.Training(lambda: None, allow=[smokestep.allow("dead", why="in it")])

    assert run(DEAD, training=building).findings == ()


def test_verify_shows_the_arguments_of_examine():
    assert inspect.signature(smokestep.verify) == inspect.signature(smokestep.examine)


def test_the_decorator_keeps_its_name_once_its_module_is_imported():
    code = "import smokestep, smokestep.check, smokestep.engine; smokestep.check(severity='defect', since='0.1')"
    subprocess.run([sys.executable, "-c", code], check=True)
    subprocess.run(
        [sys.executable, "-c", "from smokestep import check; check(severity='defect', since='1')"], check=True
    )
