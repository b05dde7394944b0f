"""An actor-critic in one module with one optimizer: the actor's step drives the critic to praise every action."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep

STATE, ACTION = 5, 2


class Agent(nnx.Module):
    def __init__(self, rngs):
        self.actor = nnx.Sequential(
            nnx.Linear(STATE, 16, rngs=rngs), nnx.relu, nnx.Linear(16, ACTION, rngs=rngs), nnx.tanh
        )
        self.critic = nnx.Sequential(nnx.Linear(STATE + ACTION, 16, rngs=rngs), nnx.relu, nnx.Linear(16, 1, rngs=rngs))

    def value(self, states, actions):
        return self.critic(jnp.concatenate([states, actions], axis=1))[:, 0]


def critic_loss(agent, states, actions, returns):
    return jnp.mean(optax.squared_error(agent.value(states, actions), returns))


def actor_loss(agent, states):
    return -agent.value(states, agent.actor(states)).mean()


def transitions():
    a, b, c = jax.random.split(jax.random.key(1), 3)
    actions = jax.random.uniform(b, (16, ACTION), minval=-1.0)
    return jax.random.normal(a, (16, STATE)), actions, jax.random.normal(c, (16,))


def buggy():
    agent = Agent(nnx.Rngs(0))
    optimizer = nnx.Optimizer(agent, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(agent, optimizer, batch):
        states, actions, returns = batch
        optimizer.update(agent, nnx.grad(critic_loss)(agent, states, actions, returns))
        loss, grads = nnx.value_and_grad(actor_loss)(agent, states)
        optimizer.update(agent, grads)  # BUG: foreign-parameters critic.*
        return loss

    return smokestep.Training(step, transitions(), state=(agent, optimizer))


def fixed():
    agent = Agent(nnx.Rngs(0))
    actors, critics = (nnx.All(nnx.Param, nnx.PathContains(name)) for name in ("actor", "critic"))
    actor_optimizer = nnx.Optimizer(agent, optax.adam(1e-3), wrt=actors)
    critic_optimizer = nnx.Optimizer(agent, optax.adam(1e-3), wrt=critics)

    @nnx.jit
    def step(agent, actor_optimizer, critic_optimizer, batch):
        states, actions, returns = batch
        grads = nnx.grad(critic_loss, argnums=nnx.DiffState(0, critics))(agent, states, actions, returns)
        critic_optimizer.update(agent, grads)
        loss, grads = nnx.value_and_grad(actor_loss, argnums=nnx.DiffState(0, actors))(agent, states)
        actor_optimizer.update(agent, grads)
        return loss

    return smokestep.Training(step, transitions(), state=(agent, actor_optimizer, critic_optimizer))
