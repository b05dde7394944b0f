"""The role checks: pushes written by hand for what proves a fault, real small games for the flow behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep.checks.roles.foreign_parameters import foreign_parameters
from smokestep.checks.roles.foreign_update import foreign_update
from smokestep.evidence.declared import Declared
from smokestep.evidence.roles import Push, Roles
from smokestep.evidence.steps import Event, Group, Optimizer, Parameter, Steps
from smokestep.findings import Finding, Line, NotApplicable, Severity

BUILT = Line("t.py", 1, "optimizer = Adam([*gen, *disc])")
OWN, FOREIGN = Line("t.py", 10, "d_loss.backward()"), Line("t.py", 20, "g_loss.backward()")
NETWORKS = {"disc": frozenset({"disc.w"}), "gen": frozenset({"gen.w"})}


def parameter(name: str) -> Parameter:
    return Parameter(name, (3,), "float32", 3, True, model=name.partition(".")[0])


def game(*optimizers: tuple[str, ...], events: tuple[Event, ...] = ()) -> Steps:
    held = tuple(Optimizer(f"adam{i}", "Adam", (Group(each, (0.1,)),), BUILT) for i, each in enumerate(optimizers))
    return Steps(3, events, tuple(map(parameter, ("disc.w", "gen.w"))), (), held, (None,) * 3)


ONE = game(("disc.w", "gen.w"))


def pushes(*kinds: Push) -> Roles:
    """The same pushes in each of three steps, each used by an update of its own."""
    found = [
        replace(kind, step=step, update=Event(10 * step + place, step, "update", kind.line, "adam0"))
        for step in range(3)
        for place, kind in enumerate(kinds)
    ]
    return Roles(tuple(found), NETWORKS)


def push(line: Line, **more: Any) -> Push:
    return Push(0, "disc", line, line, Event(0, 0, "update"), ("disc.w",), **{"used": ((0, 2),), **more})


GEN = frozenset({"gen"})
FAKE = push(OWN, over=GEN, target=0.0)
REAL = push(OWN, target=1.0)
FOOLED = push(FOREIGN, over=GEN, along=GEN, target=1.0, movers=frozenset({"adam0"}))


def findings(roles: Roles, steps: Steps = ONE) -> list[Finding]:
    return [each for each in foreign_parameters.judge(steps, roles) if isinstance(each, Finding)]


def test_opposite_targets_prove_a_foreign_loss() -> None:
    (finding,) = findings(pushes(REAL, FAKE, FOOLED))
    assert finding.severity is None
    assert finding.cause == BUILT
    assert finding.subjects == ("disc.w",)


def test_opposite_directions_prove_a_foreign_loss() -> None:
    assert findings(pushes(replace(FAKE, target=None, sign=1), replace(FOOLED, target=None, sign=-1)))


def test_a_linear_loss_on_what_a_regression_fits_proves_a_foreign_loss() -> None:
    assert findings(pushes(push(OWN), push(FOREIGN, along=GEN, over=GEN, linear=True, sign=-1)))


def test_gradients_left_in_a_network_are_told_at_its_update() -> None:
    two = game(("disc.w",), ("gen.w",))
    (finding,) = findings(pushes(REAL, FAKE, FOOLED), two)
    assert finding.cause == FOREIGN


def test_a_network_that_its_own_update_alone_moves_is_right() -> None:
    assert findings(pushes(REAL, FAKE)) == []


def test_two_losses_that_want_the_same_are_right() -> None:
    assert findings(pushes(FAKE, replace(FOOLED, target=0.0))) == []


def test_direction_that_changes_from_step_to_step_proves_nothing() -> None:
    roles = pushes(replace(FAKE, target=None, sign=1), replace(FOOLED, target=None, sign=-1))
    turned = (replace(roles.pushes[0], sign=-1), *roles.pushes[1:])
    assert findings(replace(roles, pushes=turned)) == []


def test_gradient_reversal_proves_nothing() -> None:
    assert findings(pushes(FAKE, replace(FOOLED, custom=True))) == []


def test_two_domains_proves_nothing() -> None:
    source, target = frozenset({"batch[0]"}), frozenset({"batch[1]"})
    assert findings(pushes(replace(FAKE, origin=source), replace(FOOLED, origin=target))) == []


def test_two_backward_passes_of_one_update_prove_nothing() -> None:
    roles = pushes(FAKE, FOOLED)
    together = tuple(replace(each, update=Event(each.step, each.step, "update", OWN, "adam0")) for each in roles.pushes)
    assert findings(replace(roles, pushes=together)) == []


def test_gradients_left_over_in_one_update_prove_a_foreign_loss() -> None:
    roles = pushes(FAKE, replace(FOOLED, movers=frozenset({"adam1"})))
    together = tuple(replace(each, update=Event(each.step, each.step, "update", OWN, "adam0")) for each in roles.pushes)
    (finding,) = findings(replace(roles, pushes=together), game(("disc.w",), ("gen.w",)))
    assert finding.cause == OWN


def test_data_without_a_name_that_trains_both_networks_is_a_suspicion() -> None:
    nameless = frozenset({""})
    (finding,) = findings(pushes(replace(FAKE, origin=nameless, along=GEN), REAL, replace(FOOLED, origin=nameless)))
    assert finding.severity is Severity.SUSPICION


def test_a_model_that_returns_its_own_loss_proves_nothing() -> None:
    alone, joint = push(OWN), push(FOREIGN, along=GEN, over=GEN, linear=True, sign=1)
    assert findings(pushes(replace(alone, used=((1, 3),)), replace(joint, used=((0, 0),)))) == []


def test_a_critic_whose_own_loss_is_linear_too_proves_nothing() -> None:
    assert findings(pushes(push(OWN, linear=True), push(FOREIGN, along=GEN, over=GEN, linear=True, sign=-1))) == []


def test_an_advantage_that_is_not_detached_is_a_suspicion() -> None:
    (finding,) = findings(pushes(push(OWN), push(FOREIGN, scales=GEN, linear=True)))
    assert finding.severity is Severity.SUSPICION


def test_an_advantage_that_is_not_detached_in_one_loss_of_both_is_a_suspicion() -> None:
    (finding,) = findings(pushes(push(OWN, scales=GEN, fitted=True)))
    assert finding.severity is Severity.SUSPICION


def test_log_probabilities_weighted_by_what_no_regression_fits_prove_nothing() -> None:
    assert findings(pushes(push(OWN, scales=GEN))) == []


def test_a_single_network_is_not_applicable() -> None:
    said = list(foreign_parameters.judge(ONE, Roles((), {"net": frozenset({"w"})})))
    assert [type(each) for each in said] == [NotApplicable]


def declared(steps: Steps = ONE, **more: Any) -> list[Finding]:
    given = Declared(**{"order": ("",) * 3, **more})
    return [each for each in foreign_update.judge(steps, given) if isinstance(each, Finding)]


def names(*given: str) -> dict[str, frozenset[str]]:
    return {"": frozenset(given)}


UPDATE = Event(3, 0, "update", FOREIGN, "adam0", ("disc.w", "gen.w"))


def test_foreign_update_names_what_moved_and_the_update() -> None:
    (finding,) = declared(game(events=(UPDATE,)), trains=names("gen.w"), changed=names("gen.w", "disc.w"))
    assert finding.severity is None
    assert finding.cause == FOREIGN
    assert finding.subjects == ("disc.w",)


def test_foreign_update_of_what_is_declared_untouched() -> None:
    assert declared(game(events=(UPDATE,)), untouched=names("disc.w"), changed=names("disc.w", "gen.w"))


def test_foreign_update_spares_what_is_declared() -> None:
    assert declared(game(events=(UPDATE,)), trains=names("gen.w", "disc.w"), changed=names("gen.w", "disc.w")) == []


def test_foreign_update_by_hand_is_a_suspicion() -> None:
    teacher = Event(4, 0, "manual", OWN, "", ("disc.w",))
    (finding,) = declared(game(events=(teacher,)), trains=names("gen.w"), changed=names("gen.w", "disc.w"))
    assert finding.severity is Severity.SUSPICION


def test_foreign_update_of_an_undeclared_buffer_is_a_suspicion() -> None:
    (finding,) = declared(trains=names("gen.w"), changed=names("gen.w", "disc.count"))
    assert finding.severity is Severity.SUSPICION


def test_foreign_update_of_unknown_hand_is_a_suspicion() -> None:
    (finding,) = declared(trains=names("gen.w"), changed=names("gen.w", "disc.w"))
    assert finding.severity is Severity.SUSPICION


def test_foreign_update_spares_the_vectors_of_spectral_norm() -> None:
    assert declared(trains=names("gen.w"), changed=names("gen.w", "disc.weight_u")) == []


def test_foreign_update_judges_each_step_by_its_own_name() -> None:
    events = (replace(UPDATE, parameters=("disc.w",)), replace(UPDATE, index=9, step=1, parameters=("gen.w",)))
    assert (
        declared(
            game(events=events),
            trains={"d": frozenset({"disc.w"}), "g": frozenset({"gen.w"})},
            changed={"d": frozenset({"disc.w"}), "g": frozenset({"gen.w"})},
            order=("d", "g", "d"),
        )
        == []
    )


def test_foreign_update_is_not_applicable_without_a_declaration() -> None:
    assert [type(each) for each in foreign_update.judge(ONE, Declared())] == [NotApplicable]


def networks() -> tuple[nn.Module, nn.Module]:
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3)), nn.Sequential(
        nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)
    )


def hinge(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return F.relu(1 + fake).mean() + F.relu(1 - real).mean()


def softplus(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return F.softplus(fake).mean() + F.softplus(-real).mean()


def least_squares(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(fake, torch.zeros_like(fake)) + F.mse_loss(real, torch.ones_like(real))


def wasserstein(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return fake.mean() - real.mean()


FOOL: dict[str, tuple[Callable[..., torch.Tensor], Callable[[torch.Tensor], torch.Tensor]]] = {
    "hinge": (hinge, lambda score: -score.mean()),
    "softplus": (softplus, lambda score: F.softplus(-score).mean()),
    "least squares": (least_squares, lambda score: F.mse_loss(score, torch.ones_like(score))),
    "wasserstein": (wasserstein, lambda score: -score.mean()),
}


def played(kind: str, *, shared: bool, leftover: bool = False) -> smokestep.Report:
    """A GAN of one kind, examined: with one optimizer for both, or two; or with the generator's gradients left in."""

    def training() -> smokestep.Training:
        generator, discriminator = networks()
        judge, fool = FOOL[kind]
        if shared:
            d_optimizer = g_optimizer = torch.optim.Adam([*generator.parameters(), *discriminator.parameters()])
        else:
            d_optimizer = torch.optim.Adam(discriminator.parameters())
            g_optimizer = torch.optim.Adam(generator.parameters())

        def step(real: torch.Tensor) -> None:
            g_optimizer.zero_grad()
            if leftover:
                discriminator.zero_grad()
            fool(discriminator(generator(torch.randn(8, 2)))).backward()
            g_optimizer.step()
            if not leftover:
                d_optimizer.zero_grad()
            judge(discriminator(generator(torch.randn(8, 2)).detach()), discriminator(real)).backward()
            d_optimizer.step()

        return smokestep.Training(step, torch.randn(8, 3))

    return smokestep.examine(training, select="foreign-parameters")


@pytest.mark.parametrize("kind", FOOL)
def test_a_game_with_one_optimizer_is_found(kind: str) -> None:
    (finding,) = played(kind, shared=True).findings
    assert finding.severity is Severity.DEFECT
    assert all(name.startswith("discriminator") for name in finding.subjects)


@pytest.mark.parametrize("kind", FOOL)
def test_a_game_with_two_optimizers_is_right(kind: str) -> None:
    assert played(kind, shared=False).findings == ()


@pytest.mark.parametrize("kind", FOOL)
def test_gradients_of_the_generators_loss_left_in_the_discriminator_are_found(kind: str) -> None:
    (finding,) = played(kind, shared=False, leftover=True).findings
    assert finding.severity is Severity.DEFECT
    assert finding.cause is not None and "d_optimizer.step()" in finding.cause.code
