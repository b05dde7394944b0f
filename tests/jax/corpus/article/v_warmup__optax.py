"""A warm-up that divides whole numbers stays at a learning rate of 0; a healthy one starts from 0 and leaves it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep

WARMUP = 1000


def training(warmup):
    a, b = jax.random.split(jax.random.key(0))
    he = jax.nn.initializers.he_normal()
    params = [(he(a, (6, 12)), jnp.zeros(12)), (he(b, (12, 3)), jnp.zeros(3))]
    optimizer = optax.adam(lambda count: 1e-3 * warmup(count))

    def loss_fn(params, x, y):
        (w1, b1), (w2, b2) = params
        logits = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state)  # BUG: zero-learning-rate
        return optax.apply_updates(params, updates), opt_state, loss

    x, y = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, (x, y), state=(params, optimizer.init(params)))


def buggy():
    return training(lambda count: jnp.minimum(1, count // WARMUP))


def fixed():
    return training(lambda count: jnp.minimum(1.0, count / WARMUP))
