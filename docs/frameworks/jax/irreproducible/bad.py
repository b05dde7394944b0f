import jax
import jax.numpy as jnp
import numpy as np
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(x @ params["w"], y).mean()


def training():
    params = {"w": 0.4 * jax.random.normal(jax.random.key(0), (6, 3))}
    optimizer = optax.sgd(0.1)
    noise = np.random.default_rng()

    def step(params, opt_state, batch):
        x, y = batch
        x = x + 0.1 * jnp.asarray(noise.standard_normal(x.shape), x.dtype)
        loss, grads = jax.value_and_grad(loss_fn)(params, (x, y))
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)),
        state=(params, optimizer.init(params)),
    )
