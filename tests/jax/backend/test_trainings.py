"""Shapes of JAX trainings that the backend must take: what it sees of each, and that it raises no false alarm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import smokestep
from smokestep.backends.jax import open_world, recorder
from smokestep.findings import Verdict

INPUTS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
TARGETS = INPUTS[:, :1] * 2
sgd = optax.sgd(0.1)


def params(seed=0):
    first, second = jax.random.split(jax.random.key(seed))
    return {"w": jax.random.normal(first, (3, 4)), "v": jax.random.normal(second, (4, 1))}


def loss_of(params, inputs, targets):
    return jnp.mean((jnp.tanh(inputs @ params["w"]) @ params["v"] - targets) ** 2)


def descend(params, grads):
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)


def recorded(training, steps=2):
    with open_world(training, seed=0, steps=steps) as world:
        recording = world.recording()
        assert world.raised() is None, world.raised()
        return recording


def moved(recording):
    return {move.parameter for move in recording.steps.movements if move.update}


def test_a_state_in_a_named_tuple_with_integers_and_keys_of_both_styles():
    class State(NamedTuple):
        params: Any
        count: jax.Array
        key: jax.Array
        raw: jax.Array

    @jax.jit
    def step(state, batch):
        key, now = jax.random.split(state.key)
        raw, old = jax.random.split(state.raw)
        noise = jax.random.normal(now, (8, 3)) + jax.random.normal(old, (8, 3))
        loss, grads = jax.value_and_grad(loss_of)(state.params, batch[0] + 0.1 * noise, batch[1])
        return State(descend(state.params, grads), state.count + 1, key, raw), {"loss": loss}

    state = State(params(), jnp.zeros((), int), jax.random.key(1), jax.random.PRNGKey(2))
    recording = recorded(smokestep.Training(step, (INPUTS, TARGETS), state=state))
    assert moved(recording) == {"w", "v"}
    assert None not in recording.steps.losses
    assert len({use.key for use in recording.keys.uses if use.kind == "draw"}) == 4


def test_a_state_in_a_dataclass_and_donated_arguments():
    @jax.tree_util.register_dataclass
    @dataclass
    class State:
        params: Any
        opt: Any

    @partial(jax.jit, donate_argnums=0)
    def step(state, batch):
        loss, grads = jax.value_and_grad(loss_of)(state.params, *batch)
        updates, opt = sgd.update(grads, state.opt)
        return State(optax.apply_updates(state.params, updates), opt), loss

    state = State(params(), sgd.init(params()))
    training = smokestep.Training(step, (INPUTS, TARGETS), state=state)
    assert moved(recorded(training)) == {"w", "v"}
    assert np.isfinite(np.asarray(state.params["w"])).all()  # not donated away


def test_auxiliary_results_that_are_no_arrays():
    def with_more(params, batch):
        return loss_of(params, *batch), {"name": "mse", "count": 3, "mean": batch[0].mean()}

    @jax.jit
    def gradients(params, batch):
        def inner(params):
            loss, more = with_more(params, batch)
            return loss, more["mean"]

        return jax.value_and_grad(inner, has_aux=True)(params)

    def step(params, batch):
        (loss, _), grads = gradients(params, batch)
        (_, more), _ = jax.value_and_grad(with_more, has_aux=True)(params, batch)
        assert more["name"] == "mse" and more["count"] == 3
        return descend(params, grads), loss

    recording = recorded(smokestep.Training(step, (INPUTS, TARGETS), state=params()))
    assert moved(recording) == {"w", "v"}
    assert len(recording.steps.of("backward")) == 4


def test_a_plain_vjp():
    @jax.jit
    def step(params, batch):
        loss, pull = jax.vjp(lambda p: loss_of(p, *batch), params)
        (grads,) = pull(jnp.ones_like(loss))
        return descend(params, grads), loss

    recording = recorded(smokestep.Training(step, (INPUTS, TARGETS), state=params()))
    assert moved(recording) == {"w", "v"}
    assert all(move.received for move in recording.steps.movements)


def test_gradients_of_single_samples():
    @jax.jit
    def step(params, batch):
        grads = jax.vmap(jax.grad(loss_of), in_axes=(None, 0, 0))(params, *batch)
        grads = jax.tree.map(lambda g: jnp.clip(g, -1, 1).mean(0), grads)
        return descend(params, grads)

    recording = recorded(smokestep.Training(step, (INPUTS, TARGETS), state=params()))
    assert moved(recording) == {"w", "v"}
    assert all(move.received for move in recording.steps.movements)


def test_micro_batches_in_a_scan():
    @jax.jit
    def step(params, batch):
        def one(total, pair):
            grads = jax.grad(loss_of)(params, *pair)
            return jax.tree.map(jnp.add, total, grads), None

        parts = jax.tree.map(lambda x: x.reshape(4, 2, -1), batch)
        total, _ = jax.lax.scan(one, jax.tree.map(jnp.zeros_like, params), parts)
        return descend(params, jax.tree.map(lambda g: g / 4, total))

    recording = recorded(smokestep.Training(step, (INPUTS, TARGETS), state=params()))
    assert moved(recording) == {"w", "v"}
    assert len(recording.steps.of("backward")) == 8


def test_a_checkpointed_function_and_a_derivative_of_its_own():
    @jax.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, g: (jnp.clip(g, -0.01, 0.01),))

    def loss(params, inputs, targets):
        hidden = jax.checkpoint(lambda w, x: jnp.tanh(x @ w))(params["w"], inputs)
        return jnp.mean((clipped(hidden) @ params["v"] - targets) ** 2)

    @jax.jit
    def step(params, batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        return descend(params, grads), value

    recording = recorded(smokestep.Training(step, (INPUTS, TARGETS), state=params()))
    assert moved(recording) == {"w", "v"}


def test_accumulation_by_multi_steps_is_no_lost_update():
    optimizer = optax.MultiSteps(optax.adam(1e-2), every_k_schedule=4)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    training = smokestep.Training(step, (INPUTS, TARGETS), state=(params(), optimizer.init(params())))
    assert not smokestep.examine(training).findings


def test_a_step_that_raises():
    @jax.jit
    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, batch[0], batch[1] @ batch[0])
        return descend(params, grads), loss

    report = smokestep.examine(smokestep.Training(step, (INPUTS, TARGETS), state=params()))
    assert report.verdict is Verdict.OPEN
    assert report.error is not None and report.error.line is not None
    assert report.error.line.code.startswith("loss, grads")


def test_a_step_without_differentiation():
    def step(params, batch):
        return jax.tree.map(lambda p: p * 0.99, params)

    report = smokestep.examine(smokestep.Training(step, (INPUTS, TARGETS), state=params()))
    assert not report.defects


def test_two_networks_in_one_step():
    adam = optax.adam(1e-3)

    @jax.jit
    def step(state, batch):
        def critic(p):
            return loss_of(p, *batch)

        def actor(p):
            return -jnp.mean(jnp.tanh(batch[0] @ p["w"]) @ state["critic"]["v"])

        found = {}
        for name, loss in (("critic", critic), ("actor", actor)):
            grads = jax.grad(loss)(state[name])
            updates, found[f"{name}_opt"] = adam.update(grads, state[f"{name}_opt"])
            found[name] = optax.apply_updates(state[name], updates)
        return found

    actor = {"w": params(1)["w"]}
    state = {"actor": actor, "actor_opt": adam.init(actor), "critic": params(), "critic_opt": adam.init(params())}
    recording = recorded(smokestep.Training(step, (INPUTS, TARGETS), state=state))
    assert moved(recording) == {"actor.w", "critic.w", "critic.v"}
    holds = {each.name: set(each.groups[0].parameters) for each in recording.steps.optimizers}
    assert holds == {"actor_opt": {"actor.w"}, "critic_opt": {"critic.w", "critic.v"}}


def test_a_second_gradient_of_what_the_first_update_left():
    adam = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        def first(params):
            return jnp.mean((jax.lax.stop_gradient(batch[0] @ params["w"]) @ params["v"] - batch[1]) ** 2)

        for loss in (first, lambda p: loss_of(p, *batch)):
            updates, opt_state = adam.update(jax.grad(loss)(params), opt_state)
            params = optax.apply_updates(params, updates)
        return params, opt_state

    training = smokestep.Training(step, (INPUTS, TARGETS), state=(params(), adam.init(params())))
    recording = recorded(training)
    assert [len(event.parameters) for event in recording.steps.of("backward")] == [1, 2] * 2
    assert len(recording.steps.of("update")) == 4
    assert not smokestep.examine(training).defects


def test_a_step_that_could_not_be_followed_is_open(monkeypatch) -> None:
    def fails(closed):
        raise TypeError("an equation of a later JAX")

    @jax.jit
    def step(params, batch):
        return descend(params, jax.grad(loss_of)(params, *batch))

    monkeypatch.setattr(recorder, "program_of", fails)
    report = smokestep.examine(smokestep.Training(step, (INPUTS, TARGETS), state=params()))
    assert {each.verdict.value for each in report.checks.values()} == {"open"}
    assert "`step` could not be followed (TypeError: an equation of a later JAX)" in str(report)


def test_a_step_that_was_compiled_ahead_of_time_is_open() -> None:
    params = {"w": jnp.ones((3, 1))}
    batch = jnp.ones((4, 3)), jnp.zeros((4, 1))

    def step(params: Any, batch: Any) -> Any:
        x, y = batch
        loss, grads = jax.value_and_grad(lambda p: jnp.mean((x @ p["w"] - y) ** 2))(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss

    ahead = jax.jit(step).lower(params, batch).compile()
    report = smokestep.examine(smokestep.Training(lambda *given: ahead(*given), batch, state=params))
    assert {each.verdict.value for each in report.checks.values()} == {"open"}
    assert "compiled ahead of time" in str(report)


def test_two_variables_of_a_module_that_begin_as_one_array_are_two_parameters():
    class Heads(nnx.Module):
        def __init__(self):
            self.first = nnx.Linear(3, 1, rngs=nnx.Rngs(0))
            self.others = nnx.List([nnx.Param(self.first.kernel[...])])

        def __call__(self, inputs):
            return self.first(inputs) + inputs @ self.others[0][...]

    model = Heads()
    optimizer = nnx.Optimizer(model, sgd, wrt=nnx.Param)
    kept = model.first.kernel.get_raw_value()

    @nnx.jit
    def update(model, optimizer):
        grads = nnx.grad(lambda model: jnp.mean((model(INPUTS) - TARGETS) ** 2))(model)
        optimizer.update(model, grads)

    names = {"first.kernel", "first.bias", "others.0"}
    assert moved(recorded(smokestep.Training(update, state=(model, optimizer)))) == names
    assert moved(recorded(smokestep.Training(lambda: update(model, optimizer)))) == names
    assert model.first.kernel.get_raw_value() is kept is model.others[0].get_raw_value()
