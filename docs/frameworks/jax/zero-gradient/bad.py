import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    h = x @ params["w1"]
    skip = x @ params["skip"]
    return jnp.mean(((h * 0.0) @ params["w2"] + params["b2"] + skip - y) ** 2)


def training():
    params = {
        "w1": 0.5 * jax.random.normal(jax.random.key(0), (4, 8)),
        "w2": 0.4 * jax.random.normal(jax.random.key(1), (8, 1)),
        "b2": jnp.zeros(1),
        "skip": 0.5 * jax.random.normal(jax.random.key(4), (4, 1)),
    }
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(2), (8, 4)), jax.random.normal(jax.random.key(3), (8, 1))),
        state=(params, optimizer.init(params)),
    )
