import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    for w in params["hidden"]:
        x = jax.nn.relu(x @ w)
    return jnp.mean((x @ params["out"] - y) ** 2)


def training():
    init = jax.nn.initializers.he_normal()
    hidden = [init(jax.random.key(0), (4, 8)), init(jax.random.key(1), (8, 8))]
    params = {"hidden": hidden, "out": init(jax.random.key(2), (8, 1))}
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads["hidden"], opt_state)
        return {**params, "hidden": optax.apply_updates(params["hidden"], updates)}, opt_state, loss

    opt_state = optimizer.init(params["hidden"])
    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(3), (8, 4)), jax.random.normal(jax.random.key(4), (8, 1))),
        state=(params, opt_state),
    )
