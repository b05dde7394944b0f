import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    log_p = jax.nn.log_softmax(x @ params["w"])
    return -(y * log_p).sum(axis=1).mean()


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (4, 3))}
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 4)), jax.nn.one_hot(jnp.arange(8) % 3, 3)),
        state=(params, optimizer.init(params)),
    )
