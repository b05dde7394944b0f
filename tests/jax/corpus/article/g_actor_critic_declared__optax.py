"""The actor-critic with one TrainState over all variables, as two steps whose roles are declared by pattern."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import smokestep


class Actor(nn.Module):
    @nn.compact
    def __call__(self, states):
        return nn.tanh(nn.Dense(2)(nn.relu(nn.Dense(16)(states))))


class Critic(nn.Module):
    @nn.compact
    def __call__(self, states, actions):
        x = jnp.concatenate([states, actions], axis=1)
        return nn.Dense(1)(nn.relu(nn.Dense(16)(x)))[:, 0]


def training(tx_of):
    actor, critic = Actor(), Critic()
    a, b, c = jax.random.split(jax.random.key(1), 3)
    states, returns = jax.random.normal(a, (16, 5)), jax.random.normal(c, (16,))
    actions = jax.random.uniform(b, (16, 2), minval=-1.0)
    params = {
        "actor": actor.init(jax.random.key(2), states)["params"],
        "critic": critic.init(jax.random.key(3), states, actions)["params"],
    }
    critic_tx, actor_tx = tx_of("critic"), tx_of("actor")

    def critic_loss(params):
        values = critic.apply({"params": params["critic"]}, states, actions)
        return jnp.mean((values - returns) ** 2)

    def actor_loss(params):
        proposed = actor.apply({"params": params["actor"]}, states)
        return -critic.apply({"params": params["critic"]}, states, proposed).mean()

    @jax.jit
    def improve_critic(params, critic_state, actor_state):
        loss, grads = jax.value_and_grad(critic_loss)(params)
        updates, critic_state = critic_tx.update(grads, critic_state)
        return optax.apply_updates(params, updates), critic_state, actor_state, loss

    @jax.jit
    def improve_actor(params, critic_state, actor_state):
        loss, grads = jax.value_and_grad(actor_loss)(params)
        updates, actor_state = actor_tx.update(grads, actor_state)  # BUG: foreign-update critic.*
        params = optax.apply_updates(params, updates)
        return params, critic_state, actor_state, loss

    return smokestep.Training(
        {"critic": improve_critic, "actor": improve_actor},
        state=(params, critic_tx.init(params), actor_tx.init(params)),
        trains={"critic": "critic.*", "actor": "actor.*"},
    )


def buggy():
    return training(lambda name: optax.adam(1e-3))


def fixed():
    def only(name):
        parts = {each: optax.adam(1e-3) if each == name else optax.set_to_zero() for each in ("actor", "critic")}
        return optax.multi_transform(parts, {"actor": "actor", "critic": "critic"})

    return training(only)
