import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    for w in params["hidden"]:
        x = jax.nn.relu(x @ w)
    return jnp.abs(x @ params["out"] - y).mean()


def training():
    keys = jax.random.split(jax.random.key(0), 7)
    init = jax.nn.initializers.he_normal()
    params = {"hidden": [init(key, (64, 64)) for key in keys[:6]], "out": init(keys[6], (64, 1))}
    optimizer = optax.adam(1e-4)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (16, 64)), jax.random.normal(jax.random.key(2), (16, 1))),
        state=(params, optimizer.init(params)),
    )
