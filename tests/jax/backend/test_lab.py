"""The lab of the JAX backend: models run again on edited batches, steps made again, and everything put back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("jax")
pytest.importorskip("flax")
pytest.importorskip("optax")

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep
from smokestep.backends.jax import open_world
from smokestep.evidence.trials import Other, Take

NUDGE = Other("batch[0]", ((0, (1,)),))


def plain() -> smokestep.Training:
    params = {"w": jax.random.normal(jax.random.key(0), (4, 3)), "b": jnp.zeros(3)}
    optimizer = optax.sgd(0.1)

    def loss_fn(params: Any, x: Any, y: Any) -> Any:
        logits = jnp.tanh(x @ params["w"] + params["b"])
        return ((logits - y) ** 2).mean()

    @jax.jit
    def step(params: Any, opt_state: Any, batch: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    batch = jax.random.normal(jax.random.key(1), (8, 4)), jax.random.normal(jax.random.key(2), (8, 3))
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


class Normalized(nnx.Module):
    def __init__(self, rngs: Any) -> None:
        self.first, self.last = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 3, rngs=rngs)
        self.norm, self.drop = nnx.BatchNorm(6, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.last(self.drop(nnx.relu(self.norm(self.first(x)))))


def living() -> smokestep.Training:
    model = Normalized(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model: Any, optimizer: Any, batch: Any) -> Any:
        x, y = batch
        loss, grads = nnx.value_and_grad(lambda model: optax.squared_error(model(x), y).mean())(model)
        optimizer.update(model, grads)
        return loss

    batch = jax.random.normal(jax.random.key(1), (8, 4)), jax.random.normal(jax.random.key(2), (8, 3))
    return smokestep.Training(step, batch, state=(model, optimizer))


@pytest.fixture(scope="module")
def world() -> Iterator[Any]:
    with open_world(plain, seed=0, steps=2) as world:
        world.recording()
        yield world


def test_the_model_ends_where_the_label_is_met(world: Any) -> None:
    (trial,) = world.lab().trials()
    assert [each.name for each in trial.arguments] == ["batch[0]"]
    assert [each.shape for each in trial.outputs] == [(8, 3)]
    assert trial.line is not None and trial.line.code.startswith("logits =")


def test_a_nudged_sample_changes_its_own_row_alone(world: Any) -> None:
    lab = world.lab()
    pick = Take(("batch[0]",), 0, (0, 1, 2))
    base, again, nudged = lab.run(0, [pick]), lab.run(0, [pick]), lab.run(0, [pick, NUDGE])
    assert base.outputs[0].shape == (3, 3) and not base.drew
    assert lab.differences(base, again)[0].beyond(0) == ()
    assert lab.differences(base, nudged)[0].over(1e-5) == (1,)


def test_the_trail_begins_at_the_nudged_data(world: Any) -> None:
    touches = world.lab().trail(0, [], [NUDGE])
    assert touches and touches[0].learned and touches[0].reads[0].indices[0] == (1,)


def test_a_dry_step_gives_the_loss_and_trains_nothing(world: Any) -> None:
    lab = world.lab()
    first, again, moved = lab.dry(), lab.dry(), lab.dry([Take(("batch[1]",), 0, (1, 2, 3, 4, 5, 6, 7, 0))])
    assert len(first.losses) == 1 and first == again
    assert moved.losses != first.losses


def test_a_fresh_training_trains(world: Any) -> None:
    with world.lab().fresh() as fresh:
        first = fresh.step()
        assert 0 < fresh.travelled() < 1
        fresh.along(0.0)
        assert fresh.travelled() == 0
        assert fresh.step().losses == pytest.approx(first.losses)


def test_normalization_and_dropout_are_in_evaluation_and_all_is_put_back() -> None:
    training = living()
    model = training.state[0]
    with open_world(training, seed=0, steps=2) as world:
        world.recording()
        before = nnx.to_pure_dict(nnx.state(model))
        lab = world.lab()
        base, nudged = lab.run(0), lab.run(0, [NUDGE])
        assert not base.drew and not base.error
        assert lab.differences(base, nudged)[0].over(1e-5) == (1,)
        lab.dry()
        with lab.fresh() as fresh:
            fresh.step()
        after = nnx.to_pure_dict(nnx.state(model))
        assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), before, after)))
        assert not model.norm.use_running_average and not model.drop.deterministic
