"""The test that the article proposes, "every variable changes in a training step", beside what smokestep says.

It finds the copied lines and is the right first test to write. It cannot see what moves for a wrong reason, and it calls
healthy what does not move yet a fault.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from tests.corpus.cases import load

import smokestep

FOUND = {
    "article/a_copied_input": {f"conv{n}.{kind}" for n in range(1, 6) for kind in ("weight", "bias")},
    "article/d_one_output_cross_entropy": {"hidden.weight", "hidden.bias", "out.weight", "out.bias"},
    "article/v_zero_gate": {"1.fc1.weight", "1.fc1.bias", "1.fc2.weight", "1.fc2.bias"},
    "article/v_bf16_stands_still": {"0.weight", "0.bias", "2.weight", "2.bias"},
}
FOOLED = [
    "article/c_inference_norm_module",
    "article/d_one_output_weight_decay",
    "article/f_gan_one_adam",
    "article/g_actor_critic_one_adam",
    "article/v_adamw_moves_dead_layer",
]
HEALTHY_BUT_STILL = {
    "article/v_lora": {"0.a"},
    "article/v_warmup": {"0.weight", "0.bias", "2.weight", "2.bias"},
    "article/v_zero_gate": {"1.fc1.weight", "1.fc1.bias", "1.fc2.weight", "1.fc2.bias"},
}


def models(training: smokestep.Training) -> list[torch.nn.Module]:
    """The models of a training: those it names, else those that its step holds on to."""
    if training.model:
        return list(training.model.values())
    held: list[object] = []
    for step in training.steps.values():
        held += [cell.cell_contents for cell in getattr(step, "__closure__", None) or ()]
        held += vars(getattr(step, "__self__", None)).values() if hasattr(step, "__self__") else []
    return [each for each in held if isinstance(each, torch.nn.Module)]


def unchanged(training: smokestep.Training) -> set[str]:
    """The naive test: the trainable parameters that one step leaves exactly as they were."""
    trainable = {n: p for model in models(training) for n, p in model.named_parameters() if p.requires_grad}
    before = {name: parameter.detach().clone() for name, parameter in trainable.items()}
    for step in training.steps.values():
        step(training.batch) if training.has_batch else step()
    return {name for name, parameter in trainable.items() if torch.equal(parameter, before[name])}


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("case", FOUND)
def test_before_after_finds(case: str) -> None:
    assert unchanged(load(case).buggy()) == FOUND[case]


def test_before_after_passes_the_repaired_network() -> None:
    assert unchanged(load("article/a_copied_input").fixed()) == set()


@pytest.mark.parametrize("case", FOOLED)
def test_before_after_is_fooled(case: str) -> None:
    assert unchanged(load(case).buggy()) == set()


@pytest.mark.parametrize("case", FOOLED)
def test_smokestep_is_not_fooled(case: str) -> None:
    assert smokestep.examine(load(case).buggy).defects


@pytest.mark.parametrize("case", HEALTHY_BUT_STILL)
def test_before_after_cries_wolf(case: str) -> None:
    assert unchanged(load(case).fixed()) == HEALTHY_BUT_STILL[case]


@pytest.mark.parametrize("case", HEALTHY_BUT_STILL)
def test_smokestep_does_not_cry_wolf(case: str) -> None:
    assert smokestep.examine(load(case).fixed).findings == ()
