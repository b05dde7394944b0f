"""What the lab finds of custom functions, of compiled and fused steps, and of a step repeated, on real tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep.backends.torch import open_world
from smokestep.backends.torch.lab.slopes import applying, of_function
from smokestep.evidence.lab import Lab
from smokestep.evidence.slopes import Sloped
from smokestep.findings import Verdict


def function(forward: Callable[..., Any], backward: Callable[..., Any]) -> type[torch.autograd.Function]:
    def kept(ctx: Any, *args: Any) -> Any:
        ctx.args = args
        return forward(*args)

    return type("F", (torch.autograd.Function,), {"forward": staticmethod(kept), "backward": staticmethod(backward)})


def tried(forward: Callable[..., Any], backward: Callable[..., Any], *more: Any) -> Sloped:
    kind = function(forward, backward)
    apply = kind.apply  # as people keep it
    torch.manual_seed(1)
    with applying() as seen:
        apply(torch.randn(4, 5, requires_grad=True), *more)
    assert kind.__dict__["forward"].__func__.__name__ == "kept", "the function is put back"
    return of_function(seen[kind])


def test_an_exact_backward_agrees():
    found = tried(torch.sin, lambda ctx, grad: grad * ctx.args[0].cos())
    (one,) = found.inputs
    assert not found.why and len(one.slopes) == one.tried and not one.wrong()
    assert not (one.same or one.passing or one.linear or one.flat)


def test_a_wrong_factor_is_measured():
    (one,) = tried(torch.sin, lambda ctx, grad: -2 * grad * ctx.args[0].cos()).inputs
    assert len(one.wrong()) == len(one.slopes) and one.factor == pytest.approx(-2)
    (one,) = tried(lambda x: 3 * x, lambda ctx, grad: grad).inputs
    assert one.linear and one.passing and one.factor == pytest.approx(1 / 3)


def test_a_missing_term_has_no_factor():
    (one,) = tried(lambda x: x * x.sigmoid(), lambda ctx, grad: grad * ctx.args[0].sigmoid()).inputs
    assert one.wrong() and one.factor is None


def test_estimates_are_recognised():
    (one,) = tried(torch.round, lambda ctx, grad: grad).inputs
    assert one.flat
    (one,) = tried(lambda x: x.view_as(x), lambda ctx, grad: -grad).inputs
    assert one.same and one.wrong()
    other = torch.randn(4, 5)
    found = tried(lambda x, feedback: x.exp(), lambda ctx, grad: (grad * ctx.args[1], None), other)
    assert found.idle == "feedback" or found.idle == "argument 1"


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (lambda x: x * torch.rand_like(x), "random"),
        (lambda x: x.float().sin(), "double precision"),
    ],
)
def test_what_cannot_be_tried_says_why(forward: Callable[..., Any], why: str):
    assert why in tried(forward, lambda ctx, grad: grad).why


def training(
    model: nn.Module, optimizer: torch.optim.Optimizer | None = None, compiled: Any = None
) -> smokestep.Training:
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    called = compiled or model

    def step(batch: Any) -> Any:
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(called(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 4), torch.randn(6, 2)))


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def in_the_lab(build: Callable[[], smokestep.Training], ask: Callable[[Lab], Any]) -> Any:
    with open_world(build, seed=0, steps=2) as world:
        world.recording()
        return ask(world.lab())


def test_the_way_of_the_weights_is_measured():
    def ask(lab: Lab) -> tuple[float, float]:
        with lab.fresh() as fresh:
            before = fresh.travelled()
            fresh.step()
            return before, fresh.travelled()

    before, after = in_the_lab(lambda: training(net()), ask)
    assert before == 0 and 0 < after < 1


def test_a_fused_optimizer_does_what_the_plain_one_does():
    def build() -> smokestep.Training:
        model = net()
        return training(model, torch.optim.AdamW(model.parameters(), fused=True))

    (way,) = in_the_lab(build, lambda lab: lab.ways())
    assert way.kind == "fused" and not way.why and way.line and "AdamW" in way.subject
    assert {each.what for each in way.apart} == {"loss", "gradient", "update"}
    assert all(each.share <= each.limit for each in way.apart)


def test_a_compiled_step_really_is_compiled():
    compiled = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    def build() -> smokestep.Training:
        model = net()
        return training(model, compiled=torch.compile(model, backend=backend))

    (way,) = in_the_lab(build, lambda lab: lab.ways())
    assert compiled and way.kind == "compiled" and not way.why and way.line
    assert way.apart and all(each.share <= each.limit for each in way.apart)


def test_a_plain_training_goes_no_other_way():
    assert in_the_lab(lambda: training(net()), lambda lab: lab.ways()) == ()


def test_a_loop_that_is_watched_is_not_repeated():
    built = training(net())
    with smokestep.watch(select=["learning", "wrong-gradient", "compiled-mismatch"]) as watched:
        for _ in range(3):
            built.steps[""](built.batch)
    checks = watched.report.checks
    assert checks["cannot-overfit"].verdict is Verdict.NOT_APPLICABLE
    assert checks["compiled-mismatch"].verdict is Verdict.NOT_APPLICABLE
    assert checks["wrong-gradient"].verdict is Verdict.PASS
