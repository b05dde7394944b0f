import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    return optax.squared_error(x @ params["w"] + params["b"], y).sum()


def training():
    params = {"w": 0.25 * jax.random.normal(jax.random.key(0), (16, 2)), "b": jnp.zeros(2)}
    optimizer = optax.sgd(0.9)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 16)), jax.random.normal(jax.random.key(2), (8, 2))),
        state=(params, optimizer.init(params)),
    )
