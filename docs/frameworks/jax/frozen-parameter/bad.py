import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    return jnp.mean((jax.nn.relu(x @ params["body"]) @ params["head"] - y) ** 2)


def training():
    params = {
        "body": 0.5 * jax.random.normal(jax.random.key(0), (4, 8)),
        "head": 0.4 * jax.random.normal(jax.random.key(1), (8, 1)),
    }
    labels = {"body": "frozen", "head": "trained"}
    tx = optax.multi_transform({"trained": optax.adam(1e-3), "frozen": optax.set_to_zero()}, labels)
    optimizer = tx

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(2), (8, 4)), jax.random.normal(jax.random.key(3), (8, 1))),
        state=(params, optimizer.init(params)),
        trains=["body", "head"],
    )
