"""An actor-critic with one Adam over all variables: the actor's step drives the critic to praise every action."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep

STATE, ACTION = 5, 2


def dense(key, *sizes):
    keys = jax.random.split(key, len(sizes) - 1)
    lecun = jax.nn.initializers.lecun_normal()
    return [{"w": lecun(k, shape), "b": jnp.zeros(shape[1])} for k, shape in zip(keys, zip(sizes, sizes[1:]))]


def mlp(layers, x):
    for layer in layers[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    return x @ layers[-1]["w"] + layers[-1]["b"]


def critic_loss(params, states, actions, returns):
    values = mlp(params["critic"], jnp.concatenate([states, actions], axis=1))[:, 0]
    return jnp.mean((values - returns) ** 2)


def actor_loss(params, states):
    actions = jnp.tanh(mlp(params["actor"], states))
    return -mlp(params["critic"], jnp.concatenate([states, actions], axis=1)).mean()


def networks():
    a, b = jax.random.split(jax.random.key(0))
    return {"actor": dense(a, STATE, 16, ACTION), "critic": dense(b, STATE + ACTION, 16, 1)}


def transitions():
    a, b, c = jax.random.split(jax.random.key(1), 3)
    actions = jax.random.uniform(b, (16, ACTION), minval=-1.0)
    return jax.random.normal(a, (16, STATE)), actions, jax.random.normal(c, (16,))


def buggy():
    params, optimizer = networks(), optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        states, actions, returns = batch
        updates, opt_state = optimizer.update(jax.grad(critic_loss)(params, states, actions, returns), opt_state)
        params = optax.apply_updates(params, updates)
        loss, grads = jax.value_and_grad(actor_loss)(params, states)
        updates, opt_state = optimizer.update(grads, opt_state)  # BUG: foreign-parameters critic.*
        params = optax.apply_updates(params, updates)
        return params, opt_state, loss

    return smokestep.Training(step, transitions(), state=(params, optimizer.init(params)))


def fixed():
    params, optimizer = networks(), optax.adam(1e-3)

    @jax.jit
    def step(params, actor_state, critic_state, batch):
        states, actions, returns = batch
        actor, critic = params["actor"], params["critic"]
        grads = jax.grad(lambda critic: critic_loss({"critic": critic}, states, actions, returns))(critic)
        updates, critic_state = optimizer.update(grads, critic_state)
        critic = optax.apply_updates(critic, updates)
        loss, grads = jax.value_and_grad(lambda actor: actor_loss({"actor": actor, "critic": critic}, states))(actor)
        updates, actor_state = optimizer.update(grads, actor_state)
        return {"actor": optax.apply_updates(actor, updates), "critic": critic}, actor_state, critic_state, loss

    states = optimizer.init(params["actor"]), optimizer.init(params["critic"])
    return smokestep.Training(step, transitions(), state=(params, *states))
