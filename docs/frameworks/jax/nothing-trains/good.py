import jax
import jax.numpy as jnp

import smokestep


def loss_fn(params, batch):
    x, y = batch
    return jnp.mean((x @ params["w"] - y) ** 2)


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (4, 1))}

    @jax.jit
    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss

    return smokestep.Training(
        step, (jax.random.normal(jax.random.key(1), (8, 4)), jax.random.normal(jax.random.key(2), (8, 1))), state=params
    )
