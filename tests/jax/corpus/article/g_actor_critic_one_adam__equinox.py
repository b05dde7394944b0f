"""An actor-critic as one Equinox module with one Adam: the actor's step drives the critic to praise every action."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep

STATE, ACTION = 5, 2


class Agent(eqx.Module):
    actor: eqx.nn.MLP
    critic: eqx.nn.MLP

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.actor = eqx.nn.MLP(STATE, ACTION, 16, 1, final_activation=jnp.tanh, key=a)
        self.critic = eqx.nn.MLP(STATE + ACTION, "scalar", 16, 1, key=b)


def value(critic, states, actions):
    return jax.vmap(critic)(jnp.concatenate([states, actions], axis=1))


def critic_loss(critic, states, actions, returns):
    return jnp.mean((value(critic, states, actions) - returns) ** 2)


def actor_loss(actor, critic, states):
    return -value(critic, states, jax.vmap(actor)(states)).mean()


def transitions():
    a, b, c = jax.random.split(jax.random.key(1), 3)
    actions = jax.random.uniform(b, (16, ACTION), minval=-1.0)
    return jax.random.normal(a, (16, STATE)), actions, jax.random.normal(c, (16,))


def buggy():
    agent, optim = Agent(jax.random.key(0)), optax.adam(1e-3)

    @eqx.filter_jit
    def step(agent, opt_state, batch):
        states, actions, returns = batch
        grads = eqx.filter_grad(lambda agent: critic_loss(agent.critic, states, actions, returns))(agent)
        updates, opt_state = optim.update(grads, opt_state)
        agent = eqx.apply_updates(agent, updates)
        grads = eqx.filter_grad(lambda agent: actor_loss(agent.actor, agent.critic, states))(agent)
        updates, opt_state = optim.update(grads, opt_state)  # BUG: foreign-parameters critic.*
        agent = eqx.apply_updates(agent, updates)
        return agent, opt_state

    opt_state = optim.init(eqx.filter(agent, eqx.is_inexact_array))
    return smokestep.Training(step, transitions(), state=(agent, opt_state))


def fixed():
    agent, optim = Agent(jax.random.key(0)), optax.adam(1e-3)

    @eqx.filter_jit
    def step(actor, critic, actor_state, critic_state, batch):
        states, actions, returns = batch
        updates, critic_state = optim.update(
            eqx.filter_grad(critic_loss)(critic, states, actions, returns), critic_state
        )
        critic = eqx.apply_updates(critic, updates)
        updates, actor_state = optim.update(eqx.filter_grad(actor_loss)(actor, critic, states), actor_state)
        return eqx.apply_updates(actor, updates), critic, actor_state, critic_state

    states = [optim.init(eqx.filter(each, eqx.is_inexact_array)) for each in (agent.actor, agent.critic)]
    return smokestep.Training(step, transitions(), state=(agent.actor, agent.critic, *states))
