"""optax.masked hands the gradients of what it leaves out on as they are, and apply_updates adds them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    logits = jnp.tanh(x @ params["body"]) @ params["head"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def training(optimizer):
    lecun = jax.nn.initializers.lecun_normal()
    params = {"body": lecun(jax.random.key(0), (6, 16)), "head": lecun(jax.random.key(1), (16, 3))}

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)  # BUG?: climbing-update
        return optax.apply_updates(params, updates), opt_state, loss

    batch = jax.random.normal(jax.random.key(2), (8, 6)), jax.random.randint(jax.random.key(3), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def buggy():
    return training(optax.masked(optax.sgd(0.1), {"body": False, "head": True}))


def fixed():
    frozen = optax.masked(optax.set_to_zero(), {"body": True, "head": False})
    return training(optax.chain(optax.sgd(0.1), frozen))
