import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    return sum(jnp.mean((x @ head["w"] + head["b"] - y) ** 2) for head in params)


def training():
    keys = jax.random.split(jax.random.key(0), 3)
    init = jax.nn.initializers.lecun_normal()
    params = [{"w": init(key, (8, 1)), "b": jnp.zeros(1)} for key in keys]
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 8)), jax.random.normal(jax.random.key(2), (8, 1))),
        state=(params, optimizer.init(params)),
    )
