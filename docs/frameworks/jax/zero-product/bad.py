import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y, base = batch
    h = x @ base + x @ params["a"] @ params["b"]
    return jnp.mean((jax.nn.relu(h) @ params["out"] - y) ** 2)


def training():
    init = jax.nn.initializers.lecun_normal()
    a = jnp.zeros((8, 4))
    params = {"a": a, "b": jnp.zeros((4, 16)), "out": init(jax.random.key(1), (16, 1))}
    base = init(jax.random.key(2), (8, 16))
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(3), (8, 8)), jax.random.normal(jax.random.key(4), (8, 1)), base),
        state=(params, optimizer.init(params)),
    )
