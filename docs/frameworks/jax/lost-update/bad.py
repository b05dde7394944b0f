import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    output = x.astype(jnp.bfloat16) @ params["w"]
    return jnp.mean((output.astype(jnp.float32) - y) ** 2)


def training():
    w = jnp.where(jax.random.normal(jax.random.key(0), (8, 2)) > 0, 0.5, -0.5)
    params = {"w": w.astype(jnp.bfloat16)}
    optimizer = optax.sgd(1e-4)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 8)), jax.random.normal(jax.random.key(2), (8, 2))),
        state=(params, optimizer.init(params)),
    )
