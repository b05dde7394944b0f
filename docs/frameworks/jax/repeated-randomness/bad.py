import jax
import numpy as np
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(x @ params["w"], y).mean()


def training():
    params = {"w": 0.3 * jax.random.normal(jax.random.key(0), (8, 2))}
    optimizer = optax.adam(1e-3)

    def step(params, opt_state, batch):
        np.random.seed(0)
        x, y = batch
        x = x + 0.1 * np.random.normal(size=x.shape).astype(np.float32)
        loss, grads = jax.value_and_grad(loss_fn)(params, (x, y))
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 8)), jax.random.randint(jax.random.key(2), (8,), 0, 2)),
        state=(params, optimizer.init(params)),
    )
