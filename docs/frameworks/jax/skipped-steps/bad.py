import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    output = x @ params["w"]
    near = jnp.sqrt(jnp.sum((params["w"] - params["w"]) ** 2))
    return optax.softmax_cross_entropy_with_integer_labels(output, y).mean() + near


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (3, 2))}
    optimizer = optax.apply_if_finite(optax.adam(1e-3), max_consecutive_errors=100)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 3)), jax.random.randint(jax.random.key(2), (8,), 0, 2)),
        state=(params, optimizer.init(params)),
    )
