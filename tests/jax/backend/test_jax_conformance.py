"""The facts that every backend must get right, held to the JAX backend."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

import smokestep
from smokestep.backends import jax as backend
from smokestep.testing import conformance

optimizer = optax.sgd(0.1)


def loss_of(params, inputs, targets):
    return jnp.mean((jnp.tanh(inputs @ params["w"]) @ params["v"] - targets) ** 2)


def step(params, opt_state, batch):
    loss, grads = jax.value_and_grad(loss_of)(params, *batch)
    updates, opt_state = optimizer.update(grads, opt_state)
    params = optax.apply_updates(params, updates)
    return params, opt_state, loss


def plain(more=None):
    # JAX has no seed of its own: a training that wants one takes it from a generator that is seeded
    first, second = jax.random.split(jax.random.key(int(np.random.randint(1 << 30))))
    params = {"w": jax.random.normal(first, (3, 4)), "v": jax.random.normal(second, (4, 1)), **(more or {})}
    inputs = jnp.linspace(-1, 1, 15).reshape(5, 3)
    return smokestep.Training(step, (inputs, inputs[:, :1]), state=(params, optimizer.init(params)))


def unused():
    return plain({"unused": jnp.ones(3)})


def test_conforms():
    assert conformance(backend, plain, unused) == ()
