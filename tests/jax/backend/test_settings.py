"""What an optimizer was told is read off its arithmetic; where it is not, the check that asks stays open."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
import optax

import smokestep
from smokestep.backends.jax import open_world

OPTIMIZERS = {
    "chain": (lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, 0.8, 0.99)), (0.8, 0.99)),
    "injected": (lambda: optax.inject_hyperparams(optax.adam)(1e-3, b1=0.7, b2=0.95), (0.7, 0.95)),
    "masked": (lambda: optax.masked(optax.adam(1e-3), {"mu": True, "nu": True}), (0.9, 0.999)),
    "in a branch": (lambda: optax.apply_if_finite(optax.adam(1e-3), 2), (0.9, 0.999)),
}


def training(tx: Any, compiled: bool) -> smokestep.Training:
    """Two parameters that are called as the averages of Adam are."""
    params = {"mu": jax.random.normal(jax.random.key(0), (4, 3)), "nu": jnp.zeros(3)}

    def step(params: Any, opt_state: Any, batch: Any) -> Any:
        x, y = batch
        loss, grads = jax.value_and_grad(lambda p: jnp.mean((x @ p["mu"] + p["nu"] - y) ** 2))(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    batch = (jax.random.normal(jax.random.key(1), (8, 4)), jnp.ones((8, 3)))
    return smokestep.Training(jax.jit(step) if compiled else step, batch, state=(params, tx.init(params)))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_betas_are_read_or_the_check_is_open(name: str, compiled: bool) -> None:
    make, betas = OPTIMIZERS[name]
    with open_world(lambda: training(make(), compiled), seed=0, steps=2) as world:
        (optimizer,) = world.recording().steps.optimizers
        assert optimizer.groups[0].betas == pytest.approx(betas)
        assert ("swapped-betas" in world.gaps()) == (not betas)
