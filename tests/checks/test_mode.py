"""The mode checks on evidence written by hand: what each tells, and the healthy trainings that look like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smokestep.checks.mode.drifting_statistics import drifting_statistics
from smokestep.checks.mode.frozen_statistics import frozen_statistics
from smokestep.checks.mode.inference_normalization import inference_normalization
from smokestep.checks.mode.reversed_momentum import reversed_momentum
from smokestep.checks.mode.single_sample_normalization import single_sample_normalization
from smokestep.checks.mode.stuck_dropout import stuck_dropout
from smokestep.checks.mode.trained_in_eval import trained_in_eval
from smokestep.evidence.declared import Declared
from smokestep.evidence.modes import FunctionalDropout, Layer, Modes, Run
from smokestep.evidence.steps import Movement, Parameter, Steps
from smokestep.findings import Finding, Line, NotApplicable, Severity

AT, BUILT, EVAL = (
    Line("t.py", 3, "y = model(x)"),
    Line("net.py", 7, "self.bn = BatchNorm"),
    Line("t.py", 1, "model.eval()"),
)


def findings(check: Any, modes: Modes, trained: Steps | None = None, declared: Declared | None = None) -> list[Finding]:
    given = {Modes: modes, Steps: trained or training(), Declared: declared or Declared()}
    return [each for each in check.judge(*(given[need] for need in check.needs)) if isinstance(each, Finding)]


def training(*frozen: str, moving: tuple[str, ...] = (), error: str | None = None) -> Steps:
    """Three steps of a model whose parameters train, but for the frozen ones, which stay unless they are `moving`."""
    names = ("conv.weight", "bn.weight", "bn.bias", "body.conv.weight", "body.bn.weight", "head.weight")
    parameters = tuple(
        Parameter(
            each, (3,), "float32", 3, each not in frozen, model="net", optimizers=() if each in frozen else ("adam",)
        )
        for each in names
    )
    movements = tuple(
        Movement(
            step, each, None if each in frozen else 0.5, None, 0.1 if each not in frozen or each in moving else 0.0, 1.0
        )
        for step in range(3)
        for each in names
    )
    return Steps(3, (), parameters, movements, (), (1.0,) * 3, error=error, error_line=AT if error else None)


def norm(path: str = "bn", **more: Any) -> Layer:
    affine = (f"{path}.weight", f"{path}.bias")
    plain = Layer(
        path, "batch_norm", "BatchNorm2d", True, (True,) * 3, 0, 0.1, None, affine, affine, "net", built=BUILT
    )
    return replace(plain, **more)


def runs(path: str, *flags: bool, **more: Any) -> tuple[Run, ...]:
    return tuple(Run(step, path, flag, **{"grad": True, "line": AT, **more}) for step, flag in enumerate(flags))


def test_inference_normalization_with_statistics_that_saw_nothing() -> None:
    modes = Modes((norm(),), runs("bn", False, False, False), switches=(("", False, EVAL),))
    (finding,) = findings(inference_normalization, modes)
    assert finding.severity is None
    assert finding.cause == EVAL
    assert finding.subjects == ("bn",)


def test_inference_normalization_without_affine_parameters() -> None:
    assert findings(inference_normalization, Modes((norm(affine=(), trainable=()),), runs("bn", False, False, False)))


def test_inference_normalization_with_learned_statistics_is_a_suspicion() -> None:
    (finding,) = findings(inference_normalization, Modes((norm(seen=90),), runs("bn", False, False, False)))
    assert finding.severity is Severity.SUSPICION


def test_inference_normalization_spares_a_frozen_layer() -> None:
    frozen = norm(trainable=(), seen=0)
    modes = Modes((frozen,), runs("bn", False, False, False))
    assert findings(inference_normalization, modes, training("bn.weight", "bn.bias")) == []


def test_inference_normalization_spares_a_second_pass_in_evaluation_mode() -> None:
    both = (*runs("bn", True, True, True), *runs("bn", False, False, False))
    assert findings(inference_normalization, Modes((norm(),), both)) == []


def test_inference_normalization_spares_a_validation_without_gradient() -> None:
    both = (*runs("bn", True, True, True), *runs("bn", False, False, False, grad=False))
    assert findings(inference_normalization, Modes((norm(),), both)) == []


def test_inference_normalization_spares_a_target_that_reaches_no_loss() -> None:
    modes = Modes((norm(),), runs("bn", False, False, False, reaches_root=False))
    assert findings(inference_normalization, modes) == []


def test_inference_normalization_after_the_first_step() -> None:
    modes = Modes((norm(seen=90),), runs("bn", True, False, False), switches=(("", False, EVAL),))
    (finding,) = findings(inference_normalization, modes)
    assert finding.severity is None
    assert finding.cause == EVAL


def test_inference_normalization_spares_steps_that_take_turns() -> None:
    assert findings(inference_normalization, Modes((norm(),), runs("bn", True, False, True))) == []


def test_inference_normalization_is_not_applicable_without_statistics() -> None:
    said = list(inference_normalization.judge(Modes((norm(statistics=False),), runs("bn", False)), training()))
    assert [type(each) for each in said] == [NotApplicable]


ROOT = Layer("", "root", "Net", model="net")
DROPOUT = Layer("drop", "dropout", "Dropout", probability=0.5, model="net")


def test_trained_in_eval_in_every_step_is_a_suspicion() -> None:
    modes = Modes(
        (ROOT, DROPOUT), (*runs("", *[False] * 3), *runs("drop", *[False] * 3)), switches=(("", False, EVAL),)
    )
    (finding,) = findings(trained_in_eval, modes)
    assert finding.severity is Severity.SUSPICION
    assert finding.cause == EVAL


def test_trained_in_eval_after_the_first_step_is_certain() -> None:
    modes = Modes((ROOT, DROPOUT), (*runs("", True, False, False), *runs("drop", True, False, False)))
    (finding,) = findings(trained_in_eval, modes)
    assert finding.severity is None


def test_trained_in_eval_spares_a_model_without_active_dropout() -> None:
    none = replace(DROPOUT, probability=0.0)
    modes = Modes((ROOT, none), (*runs("", False, False, False), *runs("drop", False, False, False)))
    assert findings(trained_in_eval, modes) == []


def test_trained_in_eval_spares_a_network_that_does_not_train() -> None:
    teacher = (replace(ROOT, model="teacher"), replace(DROPOUT, model="teacher"))
    modes = Modes(teacher, (*runs("", False, False, False), *runs("drop", False, False, False)))
    assert findings(trained_in_eval, modes) == []


def test_frozen_statistics_with_momentum_zero() -> None:
    (finding,) = findings(
        frozen_statistics, Modes((norm(moved=(False,) * 3, momentum=0.0),), runs("bn", True, True, True))
    )
    assert finding.severity is None
    assert finding.cause == BUILT


def test_frozen_statistics_put_back_by_code_is_a_suspicion() -> None:
    (finding,) = findings(frozen_statistics, Modes((norm(moved=(False,) * 3),), runs("bn", True, True, True)))
    assert finding.severity is Severity.SUSPICION


def test_frozen_statistics_learned_before_is_a_suspicion() -> None:
    layer = norm(moved=(False,) * 3, momentum=0.0, seen=90)
    (finding,) = findings(frozen_statistics, Modes((layer,), runs("bn", True, True, True)))
    assert finding.severity is Severity.SUSPICION


def test_frozen_statistics_spares_a_layer_in_evaluation_mode() -> None:
    assert findings(frozen_statistics, Modes((norm(moved=(False,) * 3),), runs("bn", False, False, False))) == []


def test_frozen_statistics_spares_statistics_that_moved_in_one_step() -> None:
    assert findings(frozen_statistics, Modes((norm(moved=(True, False, False)),), runs("bn", True, True, True))) == []


def test_frozen_statistics_spares_a_layer_whose_parameters_are_frozen_too() -> None:
    layer = norm(moved=(False,) * 3, trainable=())
    assert findings(frozen_statistics, Modes((layer,), runs("bn", True, True, True))) == []


def test_frozen_statistics_spares_a_frozen_layer_of_its_own_kind() -> None:
    layer = norm(kind="other", class_name="FrozenBatchNorm2d", moved=(False,) * 3, affine=(), trainable=())
    assert findings(frozen_statistics, Modes((layer,), runs("bn", True, True, True))) == []


FROZEN_BODY = training("body.conv.weight", "body.bn.weight")
BODY = norm("body.bn", affine=("body.bn.weight",), trainable=())


def test_drifting_statistics_of_a_frozen_part_is_a_suspicion() -> None:
    (finding,) = findings(drifting_statistics, Modes((BODY,), runs("body.bn", True, True, True)), FROZEN_BODY)
    assert finding.severity is Severity.SUSPICION
    assert finding.subjects == ("body.bn",)


def test_drifting_statistics_names_the_line_that_switched_to_training() -> None:
    modes = Modes((BODY,), runs("body.bn", True, True, True), switches=(("", True, EVAL),))
    (finding,) = findings(drifting_statistics, modes, FROZEN_BODY)
    assert finding.cause == EVAL


def test_drifting_statistics_declared_untouched_is_certain() -> None:
    layer = replace(BODY, statistics_names=("body.bn.running_mean",))
    names = frozenset(layer.statistics_names)
    declared = Declared(untouched={"": names}, changed_statistics={"": names})
    (finding,) = findings(drifting_statistics, Modes((layer,), runs("body.bn", True)), FROZEN_BODY, declared)
    assert finding.severity is None


def test_drifting_statistics_spares_a_layer_among_trained_ones() -> None:
    modes = Modes((BODY,), runs("body.bn", True, True, True))
    assert findings(drifting_statistics, modes, training("body.bn.weight")) == []


def test_drifting_statistics_spares_an_average_kept_by_hand() -> None:
    moving = training("body.conv.weight", "body.bn.weight", moving=("body.conv.weight", "body.bn.weight"))
    assert findings(drifting_statistics, Modes((BODY,), runs("body.bn", True, True, True)), moving) == []


def test_single_sample_layer_norm_says_that_its_output_is_constant() -> None:
    layer = Layer("ln", "layer_norm", "LayerNorm", affine=("ln.weight",), model="net", built=BUILT)
    (finding,) = findings(single_sample_normalization, Modes((layer,), runs("ln", True, True, True, samples=1)))
    assert finding.cause == BUILT
    assert finding.subjects == ("ln",)


def test_single_sample_layer_norm_over_several_is_right() -> None:
    layer = Layer("ln", "layer_norm", "LayerNorm", model="net")
    assert findings(single_sample_normalization, Modes((layer,), runs("ln", True, True, True, samples=4))) == []


def test_single_sample_batch_norm_explains_what_torch_raised() -> None:
    error = "ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 4])"
    modes = Modes((norm(),), runs("bn", True, samples=1))
    (finding,) = findings(single_sample_normalization, modes, training(error=error))
    assert finding.related == ((AT, "raised here"),)


def test_single_sample_batch_norm_in_evaluation_mode_is_right() -> None:
    modes = Modes((norm(),), runs("bn", False, samples=1, grad=False))
    assert findings(single_sample_normalization, modes) == []


def dropout(**more: Any) -> Modes:
    call = FunctionalDropout(0, AT, "net", passed=False, active=True, module_training=True)
    return Modes((), (), (replace(call, **more),))


def test_stuck_dropout_without_training() -> None:
    (finding,) = findings(stuck_dropout, dropout())
    assert finding.cause == AT


def test_stuck_dropout_seen_at_work_in_evaluation_mode() -> None:
    (finding,) = findings(stuck_dropout, dropout(passed=True, module_training=False))
    assert finding.data["in_eval"] == 1


def test_stuck_dropout_spares_a_call_that_passes_training() -> None:
    assert findings(stuck_dropout, dropout(passed=True)) == []


def test_stuck_dropout_spares_a_call_under_a_condition_on_training() -> None:
    assert findings(stuck_dropout, dropout(guarded=True)) == []


def test_stuck_dropout_that_never_drops_is_told_where_the_line_says_so() -> None:
    off = Line("net.py", 9, "h = F.dropout(h, 0.3, training=False)")
    (finding,) = findings(stuck_dropout, dropout(passed=True, active=False, line=off))
    assert finding.cause == off and "never drops" in finding.message
    asked = Line("net.py", 9, "h = F.dropout(h, 0.3, training=self.mc)")
    assert findings(stuck_dropout, dropout(passed=True, active=False, line=asked)) == []


def test_stuck_dropout_spares_a_call_outside_every_module() -> None:
    assert findings(stuck_dropout, dropout(module="")) == []


def test_stuck_dropout_spares_a_probability_of_zero() -> None:
    assert findings(stuck_dropout, dropout(probability=0.0)) == []


def test_a_momentum_from_another_framework_is_told_once_for_all_layers_of_one_line() -> None:
    layers = (norm("a.bn", momentum=0.99), norm("b.bn", momentum=0.99))
    ran = (*runs("a.bn", True, True, True), *runs("b.bn", True, True, True))
    (only,) = findings(reversed_momentum, Modes(layers, ran))
    assert (only.subjects, only.cause) == (("a.bn", "b.bn"), BUILT)
    assert "99.0%" in only.message and "momentum=0.01" in only.hint


def test_other_momenta_and_layers_in_evaluation_mode_are_not_told() -> None:
    for momentum in (0.1, 0.3, 1.0, None):
        assert not findings(reversed_momentum, Modes((norm(momentum=momentum),), runs("bn", True, True)))
    assert not findings(reversed_momentum, Modes((norm(momentum=0.99),), runs("bn", False, False)))
