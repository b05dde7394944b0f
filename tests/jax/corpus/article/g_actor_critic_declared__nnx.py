"""The actor-critic with one optimizer over the agent, as two steps whose roles are declared by pattern."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Agent(nnx.Module):
    def __init__(self, rngs):
        self.actor = nnx.Sequential(nnx.Linear(5, 16, rngs=rngs), nnx.relu, nnx.Linear(16, 2, rngs=rngs), nnx.tanh)
        self.critic = nnx.Sequential(nnx.Linear(7, 16, rngs=rngs), nnx.relu, nnx.Linear(16, 1, rngs=rngs))

    def value(self, states, actions):
        return self.critic(jnp.concatenate([states, actions], axis=1))[:, 0]


def training(agent, of_actor, of_critic):
    actor_optimizer = nnx.Optimizer(agent, optax.adam(1e-3), wrt=of_actor)
    critic_optimizer = nnx.Optimizer(agent, optax.adam(1e-3), wrt=of_critic)
    a, b, c = jax.random.split(jax.random.key(1), 3)
    states, returns = jax.random.normal(a, (16, 5)), jax.random.normal(c, (16,))
    actions = jax.random.uniform(b, (16, 2), minval=-1.0)

    @nnx.jit
    def improve_critic(agent, critic_optimizer, actor_optimizer):
        def loss_fn(agent):
            return jnp.mean((agent.value(states, actions) - returns) ** 2)

        loss, grads = nnx.value_and_grad(loss_fn, argnums=nnx.DiffState(0, of_critic))(agent)
        critic_optimizer.update(agent, grads)
        return loss

    @nnx.jit
    def improve_actor(agent, critic_optimizer, actor_optimizer):
        def loss_fn(agent):
            return -agent.value(states, agent.actor(states)).mean()

        loss, grads = nnx.value_and_grad(loss_fn, argnums=nnx.DiffState(0, of_actor))(agent)
        actor_optimizer.update(agent, grads)  # BUG: foreign-update critic.*
        return loss

    return smokestep.Training(
        {"critic": improve_critic, "actor": improve_actor},
        state=(agent, critic_optimizer, actor_optimizer),
        trains={"critic": "critic.*", "actor": "actor.*"},
    )


def buggy():
    return training(Agent(nnx.Rngs(0)), nnx.Param, nnx.Param)


def fixed():
    of_actor = nnx.All(nnx.Param, nnx.PathContains("actor"))
    of_critic = nnx.All(nnx.Param, nnx.PathContains("critic"))
    return training(Agent(nnx.Rngs(0)), of_actor, of_critic)
