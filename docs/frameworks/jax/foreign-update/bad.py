import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    logits = jnp.tanh(x @ params["encoder"]) @ params["head"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def training():
    params = {
        "encoder": 0.5 * jax.random.normal(jax.random.key(0), (3, 4)),
        "head": 0.5 * jax.random.normal(jax.random.key(1), (4, 2)),
    }
    tx = optax.adam(1e-3)
    optimizer = tx

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(2), (8, 3)), jax.random.randint(jax.random.key(3), (8,), 0, 2)),
        state=(params, optimizer.init(params)),
        trains="head",
    )
