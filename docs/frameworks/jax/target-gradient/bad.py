import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    state, action, reward, following = batch
    value = jnp.take_along_axis(state @ params["w"], action, axis=1)[:, 0]
    target = reward + 0.9 * (following @ params["w"]).max(axis=1)
    return optax.squared_error(value, target).mean()


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (4, 2))}
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (
            jax.random.normal(jax.random.key(1), (8, 4)),
            jax.random.randint(jax.random.key(2), (8, 1), 0, 2),
            jax.random.normal(jax.random.key(3), (8,)),
            jax.random.normal(jax.random.key(4), (8, 4)),
        ),
        state=(params, optimizer.init(params)),
    )
