"""jax.grad differentiates the first argument, and that is the target network: the online one is handed zeros."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def q_values(params, states):
    return jnp.tanh(states @ params["w1"]) @ params["w2"]


def td_loss(target, online, batch):
    states, actions, rewards, following = batch
    wanted = rewards + 0.99 * q_values(target, following).max(axis=1)
    chosen = jnp.take_along_axis(q_values(online, states), actions[:, None], axis=1)[:, 0]
    return jnp.mean((chosen - wanted) ** 2)


def training(argnums):
    lecun = jax.nn.initializers.lecun_normal()
    online = {"w1": lecun(jax.random.key(0), (4, 16)), "w2": lecun(jax.random.key(1), (16, 2))}
    optimizer = optax.sgd(0.01)

    @jax.jit
    def step(state, batch):
        target, online = state["target"], state["online"]
        loss, grads = jax.value_and_grad(td_loss, argnums)(target, online, batch)  # BUG: frozen-parameter online.*
        updates, opt_state = optimizer.update(grads, state["opt"])
        online = optax.apply_updates(online, updates)
        return {**state, "online": online, "opt": opt_state}, loss

    keys = jax.random.split(jax.random.key(2), 4)
    states, following = jax.random.normal(keys[0], (8, 4)), jax.random.normal(keys[1], (8, 4))
    batch = states, jax.random.randint(keys[2], (8,), 0, 2), jax.random.normal(keys[3], (8,)), following
    state = {"online": online, "target": online, "opt": optimizer.init(online)}
    return smokestep.Training(step, batch, state=state, trains=["online.*"])


def buggy():
    return training(0)


def fixed():
    return training(1)
