"""Both factors of a low-rank adapter beside a frozen layer begin as zero."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Adapted(eqx.Module):
    base: eqx.nn.Linear
    head: eqx.nn.Linear
    down: jax.Array
    up: jax.Array

    def __init__(self, down, key):
        self.base, self.head = eqx.nn.Linear(6, 10, key=key), eqx.nn.Linear(10, 3, key=jax.random.fold_in(key, 1))
        self.down, self.up = down, jnp.zeros((10, 2))

    def __call__(self, x):
        h = self.base(x) + self.up @ (self.down @ x)  # BUG: zero-product down, up
        return self.head(jax.nn.relu(h))


def build(down):
    model = Adapted(down, jax.random.key(0))
    trained = eqx.tree_at(lambda m: (m.down, m.up, m.head.bias), jax.tree.map(lambda _: False, model), (True,) * 3)
    optimizer = optax.adam(1e-2)
    adapter, rest = eqx.partition(model, trained)

    @eqx.filter_jit
    def step(adapter, opt_state, batch):
        def loss_fn(adapter, x, y):
            return jnp.mean((jax.vmap(eqx.combine(adapter, rest))(x) - y) ** 2)

        loss, grads = eqx.filter_value_and_grad(loss_fn)(adapter, *batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return eqx.apply_updates(adapter, updates), opt_state, loss

    batch = (jax.random.normal(jax.random.key(1), (8, 6)), jax.random.normal(jax.random.key(2), (8, 3)))
    return smokestep.Training(step, batch, state=(adapter, optimizer.init(adapter)))


def buggy():
    return build(jnp.zeros((2, 6)))


def fixed():
    return build(jax.random.normal(jax.random.key(3), (2, 6)) / 6**0.5)
