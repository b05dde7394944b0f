"""The actor-critic with one Adam over the agent, as two steps whose roles are declared by pattern."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Agent(eqx.Module):
    actor: eqx.nn.MLP
    critic: eqx.nn.MLP

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.actor = eqx.nn.MLP(5, 2, 16, 1, final_activation=jnp.tanh, key=a)
        self.critic = eqx.nn.MLP(7, "scalar", 16, 1, key=b)

    def value(self, states, actions):
        return jax.vmap(self.critic)(jnp.concatenate([states, actions], axis=1))


def everything(agent, name):
    return eqx.partition(agent, eqx.is_inexact_array)


def part(agent, name):
    spec = jax.tree.map(lambda _: False, agent)
    chosen = jax.tree.map(eqx.is_inexact_array, getattr(agent, name))
    return eqx.partition(agent, eqx.tree_at(lambda a: getattr(a, name), spec, chosen))


def training(split):
    agent, optim = Agent(jax.random.key(0)), optax.adam(1e-3)
    a, b, c = jax.random.split(jax.random.key(1), 3)
    states, returns = jax.random.normal(a, (16, 5)), jax.random.normal(c, (16,))
    actions = jax.random.uniform(b, (16, 2), minval=-1.0)

    @eqx.filter_jit
    def improve_critic(agent, critic_state, actor_state):
        trained, fixed = split(agent, "critic")

        def loss_fn(trained):
            return jnp.mean((eqx.combine(trained, fixed).value(states, actions) - returns) ** 2)

        loss, grads = eqx.filter_value_and_grad(loss_fn)(trained)
        updates, critic_state = optim.update(grads, critic_state)
        return eqx.apply_updates(agent, updates), critic_state, actor_state, loss

    @eqx.filter_jit
    def improve_actor(agent, critic_state, actor_state):
        trained, fixed = split(agent, "actor")

        def loss_fn(trained):
            agent = eqx.combine(trained, fixed)
            return -agent.value(states, jax.vmap(agent.actor)(states)).mean()

        loss, grads = eqx.filter_value_and_grad(loss_fn)(trained)
        updates, actor_state = optim.update(grads, actor_state)  # BUG: foreign-update critic.*
        agent = eqx.apply_updates(agent, updates)
        return agent, critic_state, actor_state, loss

    critic_state, actor_state = optim.init(split(agent, "critic")[0]), optim.init(split(agent, "actor")[0])
    return smokestep.Training(
        {"critic": improve_critic, "actor": improve_actor},
        state=(agent, critic_state, actor_state),
        trains={"critic": "critic.*", "actor": "actor.*"},
    )


def buggy():
    return training(everything)


def fixed():
    return training(part)
