import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y, mask = batch
    errors = (x @ params["w"] - y) ** 2
    return (errors.mean() * mask).sum() / mask.sum()


def training():
    params = {"w": 0.4 * jax.random.normal(jax.random.key(0), (6, 4))}
    mask = jax.random.randint(jax.random.key(3), (8, 4), 0, 2).astype(jnp.float32)
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 6)), jax.random.normal(jax.random.key(2), (8, 4)), mask),
        state=(params, optimizer.init(params)),
    )
